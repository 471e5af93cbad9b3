# SPDX-License-Identifier: Apache-2.0
"""The many ways to write one path, brought to the one that the table of routes knows; and the way back, for links."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from ottava.api.context import Environ, Wsgi

ASKED = "ottava.asked_path"
MOUNT = "load-balancer"
"""The prefix under which clouds mount the service."""
VERSIONS = frozenset({"v2", "v2.0"})
_BESIDE = ("", "octavia", "networks", "subnets")
"""What stands beside the segment lbaas, not below it."""


def normal(path: str) -> str:
    """`path` without doubled and trailing slashes, prefix, ".json", "lbaas" and the ".0" of the version.

    Clients put "v2.0" behind any endpoint that does not end with it, be there another version or not.

    >>> normal("/load-balancer/v2.0//LBaaS/pools/"), normal("/v2/v2.0/lbaas/pools")
    ('/v2/pools', '/v2/pools')
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == [MOUNT]:
        parts = parts[1:]
    if parts and parts[0] in VERSIONS:
        below = list(itertools.dropwhile(VERSIONS.__contains__, parts))
        if below and below[0].lower() == "lbaas" and below[1:2] != ["octavia"]:
            below = below[1:]
        if below:
            below[-1] = below[-1].removesuffix(".json")
        parts = ["v2", *below]
    return "/" + "/".join(parts)


def canonical(path: str) -> str:
    """The spelling of a normal path that clients are told.

    >>> canonical("/v2/pools")
    '/v2/lbaas/pools'
    """
    version, _, below = path.removeprefix("/").partition("/")
    alone = version != "v2" or below.partition("/")[0] in _BESIDE
    return path if alone else f"/v2/lbaas/{below}"


def normalised(app: Wsgi) -> Wsgi:
    """Hand on requests with their normal path; the path asked for is kept for links."""

    def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO", "")
        environ[ASKED] = environ.get("SCRIPT_NAME", "") + asked
        environ["PATH_INFO"] = normal(asked)
        return app(environ, start_response)

    return middleware


def limited(largest: int) -> Callable[[Wsgi], Wsgi]:
    """Refuse bodies that say they are larger than `largest` bytes."""

    def wrap(app: Wsgi) -> Wsgi:
        def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            length = environ.get("CONTENT_LENGTH") or "0"
            if length.isdigit() and int(length[:19]) > largest:
                start_response("413 Content Too Large", [("content-type", "text/plain")])
                return [b"Request is too large."]
            return app(environ, start_response)

        return middleware

    return wrap


def asked_url(environ: Environ, base_uri: str) -> str:
    """The URL of this request without its query; `base_uri` stands for scheme and host if it is set."""
    path = quote(environ.get(ASKED, environ.get("PATH_INFO", "")).encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~")
    if base_uri:
        return base_uri + path
    host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME')}:{environ.get('SERVER_PORT')}"
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{path}"
