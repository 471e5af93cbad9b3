# SPDX-License-Identifier: Apache-2.0
"""Who asks: what the authentication middleware found out, as keystonemiddleware's headers say it."""

import re
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import msgspec

Environ = MutableMapping[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_WHO = (
    *("USER_ID", "USER_NAME", "USER_DOMAIN_ID", "USER_DOMAIN_NAME"),
    *("PROJECT_ID", "PROJECT_NAME", "PROJECT_DOMAIN_ID", "PROJECT_DOMAIN_NAME"),
    *("DOMAIN_ID", "DOMAIN_NAME", "ROLES", "IDENTITY_STATUS"),
)
IDENTITY = (
    *(f"HTTP_X_{name}" for name in _WHO),
    *(f"HTTP_X_SERVICE_{name}" for name in _WHO),
    *("HTTP_OPENSTACK_SYSTEM_SCOPE", "HTTP_X_SERVICE_CATALOG", "HTTP_X_IS_ADMIN_PROJECT"),
    *("HTTP_X_ROLE", "HTTP_X_USER", "HTTP_X_TENANT", "HTTP_X_TENANT_ID", "HTTP_X_TENANT_NAME"),
)
"""Headers that only an authentication middleware may set."""
LOCAL_PROJECT = "local"
"""The project of those who name none, where nobody is asked who they are."""
PROJECT = re.compile(r"[\x21-\x7e]{1,36}\Z")


class Unusable(Exception):
    """Nobody can be authenticated by the configuration; the message says why, for people."""


class Context(msgspec.Struct, frozen=True):
    """Who asks.

    project_id    empty where a token is not for a project
    is_admin      True only where everybody is the administrator (noauth)
    """

    user_id: str
    project_id: str
    roles: tuple[str, ...]
    is_admin: bool
    system_scope: str | None = None
    domain_id: str | None = None
    request_id: str = ""


def context(environ: Environ) -> Context:
    """Who asks, from the environment that authentication has filled."""
    roles = str(environ.get("HTTP_X_ROLES") or "")
    return Context(
        user_id=environ.get("HTTP_X_USER_ID") or "",
        project_id=environ.get("HTTP_X_PROJECT_ID") or "",
        roles=tuple(role for role in map(str.strip, roles.lower().split(",")) if role),
        is_admin=environ.get("ottava.is_admin", False),
        system_scope=environ.get("HTTP_OPENSTACK_SYSTEM_SCOPE") or None,
        domain_id=environ.get("HTTP_X_DOMAIN_ID") or None,
        request_id=environ.get("openstack.request_id") or "",
    )


def noauth(app: Wsgi) -> Wsgi:
    """Everybody is the administrator, in the project they say they are in."""

    def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        project = environ.get("HTTP_X_PROJECT_ID", "")
        for name in IDENTITY:
            environ.pop(name, None)
        environ["HTTP_X_USER_ID"] = "noauth"
        environ["HTTP_X_PROJECT_ID"] = project if PROJECT.match(project) else LOCAL_PROJECT
        environ["HTTP_X_ROLES"] = "admin,member,reader"
        environ["ottava.is_admin"] = True
        return app(environ, start_response)

    return middleware
