# SPDX-License-Identifier: Apache-2.0
"""Authentication by a file of users: who they are, and which project and roles they have.

A line each, `name:bcrypt hash[:project id[:role,role...]]`, `#` starts a comment; the first two fields are those of
oslo.middleware's file. Without a project the user's name is the project; without roles the role is member.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bcrypt
import msgspec

from ottava.api.context import IDENTITY, PROJECT, Environ, Unusable, Wsgi
from ottava.api.errors import fault
from ottava.api.rates import Rates, refused

LOG = logging.getLogger(__name__)

IMPLIED = {"admin": ("manager", "member", "reader"), "manager": ("member", "reader"), "member": ("reader",)}
"""Roles that come with others, as in Keystone."""

UNAUTHORIZED = msgspec.json.encode(
    {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
)


REMEMBER_WRONG = 1000
BUCKETS = 16
ATTEMPTS = 10
ATTEMPTS_A_SECOND = 0.1
"""What one bucket of names may try: so many passwords that are not known to be right or wrong, then one in ten seconds.
A password costs its worker some 50 to 250 milliseconds; this bounds what strangers can make it spend."""


class _TooMany(Exception):
    def __init__(self, wait: float) -> None:
        super().__init__()
        self.wait = wait


class BadUserFile(Unusable):
    """The file of users cannot be used; the message says why."""


class User(msgspec.Struct, frozen=True):
    """One line of the file."""

    name: str
    hash: bytes
    project_id: str
    roles: str


def read_users(path: str) -> dict[str, User]:
    """The users by name. Raises BadUserFile."""
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IROTH | stat.S_IWOTH):
                raise BadUserFile(f"{path}: everybody can read or write it; make its mode 0600 or 0640")
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadUserFile(f"{path}: {error}") from None
    users = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            user = _user(f"{path}, line {number}", line.strip())
            users[user.name] = user
    return users


def _user(where: str, line: str) -> User:
    name, hashed, project, roles = [*line.split(":", 3), "", "", ""][:4]
    if not name or not hashed.startswith(("$2a$", "$2b$", "$2y$")) or len(hashed) != 60:
        raise BadUserFile(f"{where}: wanted name:bcrypt hash[:project id[:role,role...]]")
    if not PROJECT.match(project or name):
        raise BadUserFile(f"{where}: a project id is 1 to 36 printable characters")
    given = [role for role in map(str.strip, roles.lower().split(",")) if role] or ["member"]
    held = dict.fromkeys(given)
    for role in given:
        held.update(dict.fromkeys(IMPLIED.get(role, ())))
    return User(name, hashed.encode("ascii", "replace"), project or name, ",".join(held))


class HttpBasic:
    """WSGI middleware; the file is read again when it changes, and while it is bad nobody gets in."""

    def __init__(self, app: Wsgi, path: str) -> None:
        """Raises BadUserFile."""
        self._app = app
        self._path = path
        self._secret = secrets.token_bytes(32)
        self._verified: dict[str, bytes] = {}  # user to HMAC of name, password and hash: one each, so bounded
        self._wrong: set[bytes] = set()
        self._attempts = Rates(ATTEMPTS_A_SECOND, ATTEMPTS)
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._users: Mapping[str, User] = read_users(path)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name in IDENTITY:
            environ.pop(name, None)
        try:
            user = self._authenticate(environ.get("HTTP_AUTHORIZATION", ""))
        except _TooMany as error:
            return refused(error.wait, start_response)
        except BadUserFile as error:
            LOG.error("Nobody can be authenticated: %s", error)
            start_response("503 Service Unavailable", [("content-type", "application/json")])
            return [fault(503, "Users cannot be authenticated at the moment.")]
        if user is None:
            headers = [("content-type", "application/json"), ("www-authenticate", 'Basic realm="ottava"')]
            start_response("401 Unauthorized", headers)
            return [UNAUTHORIZED]
        environ["HTTP_X_USER_ID"] = environ["HTTP_X_USER_NAME"] = user.name
        environ["HTTP_X_PROJECT_ID"] = user.project_id
        environ["HTTP_X_ROLES"] = user.roles
        return self._app(environ, start_response)

    def _look(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise BadUserFile(f"{self._path}: {error.strerror}") from None
        return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode

    def _current(self) -> Mapping[str, User]:
        stamp = self._look()
        if stamp != self._stamp:
            with self._lock:
                self._users = read_users(self._path)
                self._verified = {name: mac for name, mac in self._verified.items() if name in self._users}
                self._stamp = stamp
        return self._users

    def _authenticate(self, header: str) -> User | None:
        name, password = _credentials(header)
        if not name:
            return None
        users = self._current()
        user = users.get(name)
        mac = self._mac(name, user.hash if user else b"", password)
        if user and hmac.compare_digest(self._verified.get(name, b""), mac):
            return user
        if mac in self._wrong:
            return None
        self._pay(name)
        # A name that is not there takes as long as one that is.
        any_hash = user.hash if user else next((each.hash for each in users.values()), b"")
        if _matches(password, any_hash) and user:
            self._verified[name] = mac
            self._attempts.give(self._bucket(name))
            return user
        if len(self._wrong) >= REMEMBER_WRONG:
            self._wrong.clear()
        self._wrong.add(mac)
        return None

    def _mac(self, name: str, hashed: bytes, password: bytes) -> bytes:
        return hmac.digest(self._secret, b"%b\0%b\0%b" % (name.encode(), hashed, password), hashlib.sha256)

    def _bucket(self, name: str) -> str:
        """Names, those that are there and those that are not, share a few buckets, by a hash that nobody can guess."""
        return str(self._mac(name, b"", b"")[0] % BUCKETS)

    def _pay(self, name: str) -> None:
        """Raises _TooMany when too many passwords were wrong lately."""
        wait = self._attempts.take(self._bucket(name), time.monotonic())
        if wait:
            raise _TooMany(wait)


def _credentials(header: str) -> tuple[str, bytes]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return name.decode("utf-8"), password
    except (binascii.Error, ValueError):
        return "", b""


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:72], hashed)  # the algorithm itself looks at no more
    except ValueError:
        return False
