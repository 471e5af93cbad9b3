# SPDX-License-Identifier: Apache-2.0
"""A real Keystone for tests: an environment of its own, an empty SQLite, a free port; ready in some four seconds."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography.fernet import Fernet

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-keystone/bin/python"
SERVER = Path(__file__).parent / "keystone_server.py"

CONFIGURATION = """
[DEFAULT]
public_endpoint = {url}
[database]
connection = sqlite:///{folder}/keystone.sqlite
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/keys
[fernet_receipts]
key_repository = {folder}/keys
[credential]
key_repository = {folder}/keys
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
"""


@dataclass(frozen=True)
class Project:
    """A project of the default domain."""

    id: str
    name: str


@dataclass(frozen=True)
class User:
    """A user of the default domain; without a project, one who works on the whole system."""

    id: str
    name: str
    password: str
    project: Project | None


class Keystone:
    """A Keystone that runs. Each project and each user is a new one, whatever else has its name.

    url    as clients are given it, with /v3
    admin  who may do everything, in a project of their own
    """

    def __init__(self, url: str, password: str, keys: Path) -> None:
        self.url = url
        self._keys = keys
        self._client = httpx.Client(timeout=60, trust_env=False)
        self._roles: dict[str, str] = {}
        self._token = ""
        asked = self._answer(User("", "admin", password, Project("", "admin")), by_name=True)
        body = asked.json()["token"]
        self.admin = User(body["user"]["id"], "admin", password, Project(body["project"]["id"], "admin"))
        self._token = asked.headers["X-Subject-Token"]

    # ---- making what tests need

    def project(self, name: str) -> Project:
        """A new project."""
        unique = f"{name}-{secrets.token_hex(4)}"
        made = self.ask("POST", "projects", {"project": {"name": unique, "domain_id": "default"}})
        return Project(made["project"]["id"], unique)

    def user(self, name: str, project: Project | None, roles: Sequence[str]) -> User:
        """A new user with these roles in the project, or on the whole system; roles that are missing are made."""
        unique, password = f"{name}-{secrets.token_hex(4)}", secrets.token_hex(8)
        body = {"name": unique, "password": password, "domain_id": "default"}
        id = self.ask("POST", "users", {"user": body})["user"]["id"]
        where = f"projects/{project.id}" if project else "system"
        for role in roles:
            self.ask("PUT", f"{where}/users/{id}/roles/{self.role(role)}")
        return User(id, unique, password, project)

    def role(self, name: str) -> str:
        """The id of the role, made if it is missing."""
        if name not in self._roles:
            found = self.ask("GET", f"roles?name={name}")["roles"]
            made = found[0] if found else self.ask("POST", "roles", {"role": {"name": name}})["role"]
            self._roles[name] = made["id"]
        return self._roles[name]

    def endpoint(self, url: str, kind: str = "load-balancer", region: str = "") -> str:
        """A new entry of the catalog, in a region of its own unless one that is there is named; the region."""
        if not region:
            region = f"region-{secrets.token_hex(4)}"
            self.ask("PUT", f"regions/{region}", {"region": {}})
        service = self.ask("POST", "services", {"service": {"type": kind, "name": "ottava"}})["service"]["id"]
        for interface in ("public", "internal", "admin"):
            body = {"service_id": service, "region_id": region, "interface": interface, "url": url}
            self.ask("POST", "endpoints", {"endpoint": body})
        return region

    # ---- tokens

    def token(self, user: User) -> str:
        """A new token of the user, for their project or for the system."""
        return str(self._answer(user).headers["X-Subject-Token"])

    def application_credential(self, user: User, **limits: object) -> str:
        """A token of the user by a new application credential with these limits, as Keystone's API names them."""
        mine = {"X-Auth-Token": self.token(user)}
        body = {"application_credential": {"name": secrets.token_hex(4), **limits}}
        made = self.ask("POST", f"users/{user.id}/application_credentials", body, mine)["application_credential"]
        identity = {"methods": ["application_credential"],
                    "application_credential": {"id": made["id"], "secret": made["secret"]}}  # fmt: skip
        return str(self._enter({"identity": identity}).headers["X-Subject-Token"])

    def expired(self, token: str) -> str:
        """A token of a project that ended a minute ago; otherwise it is like this one, and sealed by the same key."""
        key = Fernet(max(self._keys.iterdir()).read_bytes())
        values = msgspec.msgpack.decode(key.decrypt(token + "=" * (-len(token) % 4)))
        ended = [time.time() - 60 if isinstance(each, float) else each for each in values]
        return key.encrypt(msgspec.msgpack.encode(ended)).decode().rstrip("=")

    def revoke(self, token: str) -> None:
        """End the token now."""
        self.ask("DELETE", "auth/tokens", headers={"X-Subject-Token": token})

    def cloud(self, user: User, region: str = "") -> dict[str, Any]:
        """How clients are told of this cloud: the entry of clouds.yaml, arguments of openstack.connect."""
        auth = {"auth_url": self.url, "username": user.name, "password": user.password, "user_domain_id": "default"}
        if user.project:
            auth |= {"project_id": user.project.id}
        else:
            auth |= {"system_scope": "all"}
        return {"auth_type": "password", "auth": auth} | ({"region_name": region} if region else {})

    # ---- asking it

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        """Ask its own API as the administrator; the decoded answer. Raises httpx.HTTPStatusError."""
        answer = self._client.request(
            method, f"{self.url}/{path}", json=body, headers={"X-Auth-Token": self._token, **(headers or {})}
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _answer(self, user: User, by_name: bool = False) -> httpx.Response:
        who = {"name": user.name, "domain": {"id": "default"}} if by_name else {"id": user.id}
        scope: dict[str, Any] = {"system": {"all": True}}
        if user.project:
            project = user.project
            scope = {"project": {"name": project.name, "domain": {"id": "default"}} if by_name else {"id": project.id}}
        identity = {"methods": ["password"], "password": {"user": {**who, "password": user.password}}}
        return self._enter({"identity": identity, "scope": scope})

    def _enter(self, auth: object) -> httpx.Response:
        answer = self._client.post(f"{self.url}/auth/tokens", json={"auth": auth})
        answer.raise_for_status()
        return answer


@contextlib.contextmanager
def keystone() -> Iterator[Keystone]:
    """A Keystone with nothing but its administrator in it, gone afterwards. Makes its environment where it is missing."""
    subprocess.run([ROOT / "tools/setup", "--keystone"], check=True)
    password = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="keystone-") as name, socket.create_server(("127.0.0.1", 0)) as listening:
        folder = Path(name)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        for number in ("0", "1"):  # the next key, and the one in use
            (keys / number).write_bytes(Fernet.generate_key())
        configuration = folder / "keystone.conf"
        configuration.write_text(CONFIGURATION.format(url=url, folder=folder))
        words = [str(PYTHON), "-P", str(SERVER), str(listening.fileno()), password, "--config-file", str(configuration)]
        with (folder / "log").open("w+") as log:
            server = subprocess.Popen(words, pass_fds=[listening.fileno()], stdout=log, stderr=log, env=_clean())
            listening.close()
            try:
                try:
                    found = Keystone(f"{url}/v3", password, keys)  # waits, since the socket listens already
                except httpx.HTTPError as error:
                    raise RuntimeError(f"Keystone does not answer: {(folder / 'log').read_text()[-5000:]}") from error
                yield found
            finally:
                server.send_signal(signal.SIGKILL)
                server.wait()


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}


if __name__ == "__main__":
    with keystone() as running:
        print(running.url, running.admin.name, running.admin.password, flush=True)
        sys.stdin.read()
