# SPDX-License-Identifier: Apache-2.0
"""The middleware between the server and the routes: all of it, in its order. What is not asked for is not there."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from oslo_config import cfg

from ottava.api import paths
from ottava.api.context import IDENTITY, Environ, Wsgi, noauth, request_id
from ottava.api.http_basic import HttpBasic
from ottava.api.settings import Settings, settings

PUBLIC = frozenset(("/", "/healthcheck", "/openapi.json"))
"""Paths, as normalised, that need no authentication."""

Layer = Callable[[Wsgi], Wsgi]


def wrapped(app: Wsgi, conf: cfg.ConfigOpts, chosen: Settings) -> Wsgi:
    """The application inside its middleware. Raises context.Unusable."""
    for layer in reversed(list(_layers(conf, chosen))):
        app = layer(app)
    return app


def _layers(conf: cfg.ConfigOpts, chosen: Settings) -> Iterator[Layer]:
    """From the outermost to the innermost."""
    yield request_id
    yield paths.limited(chosen.largest_body)
    yield _authenticated(_authentication(conf, chosen))
    yield paths.normalised


def _authentication(conf: cfg.ConfigOpts, chosen: Settings) -> Layer:
    """The middleware that finds out who asks and says so in the headers that context.context() reads."""
    if chosen.auth_strategy == "http_basic":
        return lambda app: HttpBasic(app, chosen.user_file)
    if chosen.auth_strategy == "keystone":
        from ottava.api.keystone import Keystone  # what it imports is large, and nobody else needs it

        return lambda app: Keystone(app, conf)
    return noauth


def check(conf: cfg.ConfigOpts) -> None:
    """Raises Unusable where nobody could be authenticated by these options."""
    _authentication(conf, settings(conf))(lambda environ, start_response: [])


def _authenticated(authentication: Layer) -> Layer:
    """Ask for authentication wherever the path is not public."""

    def wrap(app: Wsgi) -> Wsgi:
        asking = authentication(app)

        def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if paths.normal(environ.get("PATH_INFO", "")) not in PUBLIC:
                return asking(environ, start_response)
            for name in IDENTITY:
                environ.pop(name, None)
            return app(environ, start_response)

        return middleware

    return wrap
