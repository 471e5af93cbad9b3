# SPDX-License-Identifier: Apache-2.0
"""Authentication by Keystone: keystonemiddleware's auth_token judges a token, and its judgement is kept for a while."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from keystoneauth1 import exceptions, loading
from keystonemiddleware import auth_token
from oslo_config import cfg

from ottava.api.context import IDENTITY, Environ, Unusable, Wsgi
from ottava.api.errors import fault

LOG = logging.getLogger(__name__)

GROUP = "keystone_authtoken"
MOST = 4096
"""Tokens that one worker remembers."""
BESIDE_MEMCACHED = 5.0
"""Seconds for which a worker remembers a token that memcached remembers for all of them."""


class _Judged(msgspec.Struct, frozen=True):
    """What auth_token said of a token: the identity, in its headers; `until` is on the clock of time.time()."""

    until: float
    identity: Mapping[str, Any]


class Keystone:
    """WSGI middleware. A token that is remembered costs a look into a dictionary, any other what auth_token takes.

    A revoked token is taken for as long as the option token_cache_time says, as everywhere; -1 remembers nothing.
    """

    def __init__(self, app: Wsgi, conf: cfg.ConfigOpts) -> None:
        """Raises Unusable."""
        self._app = app
        local: dict[str, Any] = {"oslo_config_config": conf}
        conf.register_opts(auth_token.AUTH_TOKEN_OPTS[0][1], group=GROUP)
        loading.register_auth_conf_options(conf, GROUP)
        self._seconds = float(conf[GROUP].token_cache_time)
        if conf[GROUP].memcached_servers:
            self._seconds = min(self._seconds, BESIDE_MEMCACHED)
        else:
            local["token_cache_time"] = -1  # its own cache in a process looks at every token for each request
        section = conf[GROUP].auth_section or GROUP
        if not conf[section].auth_type:
            raise Unusable(f"auth_strategy keystone needs auth_type in [{section}], and a user who may judge tokens")
        try:
            self._judge = auth_token.AuthProtocol(_accepted, local)
        except (exceptions.ClientException, cfg.Error, auth_token.ConfigurationError) as error:
            raise Unusable(f"[{GROUP}]: {error}") from error
        self._judged: dict[bytes, _Judged] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name in IDENTITY:
            environ.pop(name, None)
        key = _key(environ)
        known = self._judged.get(key) if key else None
        if known is not None and known.until > time.time():
            environ.update(known.identity)
            return self._app(environ, start_response)
        refusal = self._refusal(environ)
        if refusal is not None:
            status, headers, body = refusal
            start_response(status, headers)
            return body
        if key:
            self._remember(key, environ)
        return self._app(environ, start_response)

    def _refusal(self, environ: Environ) -> tuple[str, list[tuple[str, str]], Iterable[bytes]] | None:
        """What auth_token answers, and None when it lets the request through, with the identity in `environ`."""
        said: list[Any] = []
        try:
            body = self._judge(environ, lambda *words: said.extend(words))
        except exceptions.ClientException as error:
            LOG.error("Keystone cannot be asked: %s", error)
            said[:] = ["503", []]
        if environ.pop(ACCEPTED, False):
            return None
        if said[0].startswith("401"):
            return said[0], said[1], body
        headers = [("content-type", "application/json"), ("retry-after", "5")]
        return "503 Service Unavailable", headers, [fault(503, "Keystone does not answer. Please try again.")]

    def _remember(self, key: bytes, environ: Environ) -> None:
        token = environ["keystone.token_info"]["token"]
        limited = (token.get("application_credential") or {}).get("access_rules") is not None
        if self._seconds <= 0 or limited or token.get("bind"):
            return  # whether such a token is good depends on the request
        until = min(time.time() + self._seconds, datetime.fromisoformat(token["expires_at"]).timestamp())
        identity = {name: environ[name] for name in IDENTITY if environ.get(name) is not None}
        with self._lock:
            while len(self._judged) >= MOST:
                del self._judged[next(iter(self._judged))]
            self._judged.pop(key, None)
            self._judged[key] = _Judged(until, identity)


ACCEPTED = "ottava.accepted"


def _accepted(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What auth_token hands good requests to, so that it stands between nobody and the answer."""
    environ[ACCEPTED] = True
    start_response("200 OK", [])
    return []


def _key(environ: Environ) -> bytes | None:
    """Under what a token is remembered; None where more than the token decides."""
    token = environ.get("HTTP_X_AUTH_TOKEN")
    if not token or "HTTP_X_SERVICE_TOKEN" in environ:
        return None
    return hashlib.sha256(token.strip().encode("latin-1", "replace")).digest()
