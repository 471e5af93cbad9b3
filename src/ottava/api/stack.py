# SPDX-License-Identifier: Apache-2.0
"""The middleware between the server and the routes: all of it, in its order. What is not asked for is not there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import webob
from oslo_config import cfg
from oslo_middleware import cors, http_proxy_to_wsgi

from ottava.api import paths, rates, requests
from ottava.api.context import IDENTITY, Environ, Unusable, Wsgi, noauth
from ottava.api.http_basic import HttpBasic
from ottava.api.settings import Settings, settings

PUBLIC = frozenset(("/", "/healthcheck", "/openapi.json"))
"""Paths, as normalised, that need no authentication."""

Layer = Callable[[Wsgi], Wsgi]


def wrapped(app: Wsgi, conf: cfg.ConfigOpts, chosen: Settings) -> Wsgi:
    """The application inside its middleware. Raises context.Unusable."""
    try:
        for layer in reversed(list(_layers(conf, chosen))):
            app = layer(app)
    except (cfg.Error, OSError) as error:
        raise Unusable(str(error)) from error
    return app


def check(conf: cfg.ConfigOpts) -> None:
    """Raises context.Unusable where the options make no sense or let nobody in."""
    wrapped(lambda environ, start_response: [], conf, settings(conf))


def _layers(conf: cfg.ConfigOpts, chosen: Settings) -> Iterator[Layer]:
    """From the outermost to the innermost."""
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    if conf.oslo_middleware.enable_proxy_headers_parsing:
        yield _behind_proxy(conf)
    yield requests.identified
    if chosen.access_log:
        yield requests.logged
    conf.register_opts(cors.OPTS, group="cors")
    if conf.cors.allowed_origin:
        yield _shared_with_origins(conf)
    yield paths.limited(chosen.largest_body)
    yield _not_public([_authentication(conf, chosen), *_of_the_known(conf, chosen)])
    yield paths.normalised


def _of_the_known(conf: cfg.ConfigOpts, chosen: Settings) -> Iterator[Layer]:
    """What stands between requests whose sender is known and the routes."""
    if chosen.rate_limit:
        yield rates.limited(chosen.rate_limit, chosen.rate_limit_burst)
    if conf.audit.enabled:
        from keystonemiddleware import audit

        names = {name: conf.audit[name] for name in ("audit_map_file", "ignore_req_list")}
        yield lambda app: audit.AuditMiddleware(app, oslo_config_config=conf, **names)


def _behind_proxy(conf: cfg.ConfigOpts) -> Layer:
    """Believe what a proxy in front of the API says of the client."""

    def wrap(app: Wsgi) -> Wsgi:
        proxy = http_proxy_to_wsgi.HTTPProxyToWSGI(None, conf)

        def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ.setdefault("SCRIPT_NAME", "")
            proxy.process_request(webob.Request(environ))
            return app(environ, start_response)

        return middleware

    return wrap


def _shared_with_origins(conf: cfg.ConfigOpts) -> Layer:
    """Let pages of other origins ask (CORS); other clients pay nothing."""
    conf.set_default("allow_headers", ["X-Auth-Token", "X-OpenStack-Request-ID", "If-Match"], group="cors")
    conf.set_default("expose_headers", ["X-OpenStack-Request-ID", "ETag"], group="cors")
    conf.set_default("allow_methods", ["GET", "POST", "PUT", "DELETE"], group="cors")

    def wrap(app: Wsgi) -> Wsgi:
        shared = cors.CORS(app, conf)

        def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            return (shared if "HTTP_ORIGIN" in environ else app)(environ, start_response)

        return middleware

    return wrap


def _authentication(conf: cfg.ConfigOpts, chosen: Settings) -> Layer:
    """The middleware that finds out who asks and says so in the headers that context.context() reads."""
    if chosen.auth_strategy == "http_basic":
        return lambda app: HttpBasic(app, chosen.user_file)
    if chosen.auth_strategy == "keystone":
        from ottava.api.keystone import Keystone  # what it imports is large, and nobody else needs it

        return lambda app: Keystone(app, conf)
    return noauth


def _not_public(layers: Sequence[Layer]) -> Layer:
    """Put these layers, the outermost first, before the paths that are not public."""

    def wrap(app: Wsgi) -> Wsgi:
        guarded = app
        for layer in reversed(layers):
            guarded = layer(guarded)

        def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if paths.normal(environ.get("PATH_INFO", "")) not in PUBLIC:
                return guarded(environ, start_response)
            for name in IDENTITY:
                environ.pop(name, None)
            return app(environ, start_response)

        return middleware

    return wrap
