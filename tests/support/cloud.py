# SPDX-License-Identifier: Apache-2.0
"""A cloud for clients: a real Keystone with a catalog, and the API with a provider that does nothing."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openstack
from sqlalchemy import update

from ottava.cloud.network.noop import NETWORK
from ottava.store import amphorae, statistics, tables
from ottava.store import engine as database
from ottava.wire.heartbeat import Counters
from support.keystone import Keystone, User
from support.machine import eventually
from support.slots import free_ports

OTTAVA = Path(sys.executable).with_name("ottava")

PAGE = 20
"""The most objects that an answer has."""


class Cloud:
    """What clients are given: projects, users, a catalog. Its own requests are those of the administrator."""

    def __init__(self, keystone: Keystone, url: str, connection: str) -> None:
        self.keystone, self.url = keystone, url
        self.engine = database.create_engine(connection)
        self.admin = keystone.admin
        assert self.admin.project
        self.project_id = self.admin.project.id
        other = keystone.project("other")
        self.other_project, self.other_project_id = other.name, other.id
        self.region = self.region_at(url)
        self.subnet_id = NETWORK.subnets[0].id
        self.token = keystone.token(self.admin)
        headers = {"X-Auth-Token": self.token}
        self._client = httpx.Client(base_url=f"{url}/v2/lbaas/", timeout=30, trust_env=False, headers=headers)

    # ---- what clients are told

    def region_at(self, url: str) -> str:
        """A new region, whose catalog has the load balancers at `url`."""
        region = self.keystone.endpoint(url)
        self.keystone.endpoint(self.url, "network", region)
        self.keystone.endpoint(self.keystone.url, "identity", region)
        return region

    def environment(self, user: User | None = None, region: str = "") -> dict[str, str]:
        """For the `openstack` command."""
        told = self.keystone.cloud(user or self.admin, region or self.region)
        auth = {f"OS_{name.upper()}": value for name, value in told["auth"].items()}
        return {**auth, "OS_AUTH_TYPE": told["auth_type"], "OS_REGION_NAME": told["region_name"]}

    def sdk(self, user: User | None = None, region: str = "") -> openstack.connection.Connection:
        """An unmodified openstacksdk."""
        return openstack.connect(load_config=False, **self.keystone.cloud(user or self.admin, region or self.region))

    # ---- asking the API

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer to the administrator. Fails for an error."""
        answer = self._client.request(method, path if path[0] != "/" else self.url + path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, collection: str, id: str) -> dict[str, Any]:
        """One object, without its envelope."""
        (found,) = self.ask("GET", f"{collection}/{id}").values()
        return dict(found)

    def list(self, collection: str) -> list[dict[str, Any]]:
        """The objects of a collection, the first page of them."""
        return next(value for key, value in self.ask("GET", collection).items() if not key.endswith("_links"))

    def named(self, collection: str, name: str) -> dict[str, Any]:
        """The one object of that name."""
        (found,) = [each for each in self.list(collection) if each["name"] == name]
        return found

    def post(self, collection: str, **values: object) -> dict[str, Any]:
        """A new object."""
        word = collection.rpartition("/")[2]
        (found,) = self.ask("POST", collection, {KEYS.get(word, word[:-1]): values}).values()
        return dict(found)

    def clear(self) -> None:
        """Delete everything that tests make."""
        while balancers := self.list("loadbalancers"):
            for balancer in balancers:
                self.ask("DELETE", f"loadbalancers/{balancer['id']}?cascade=true")
        for collection in CATALOGUES:
            for each in self.list(collection):
                self.ask("DELETE", f"{collection}/{each.get('id', each['name'])}")

    def amphorae(self, balancer: str) -> set[str]:
        """The ids of the amphorae of a load balancer."""
        return {each["id"] for each in self.list(f"/v2/octavia/amphorae?loadbalancer_id={balancer}")}

    # ---- what only the data plane could bring about

    def counted(self, amphora: str, listener: str, balancer: str, **counters: int) -> None:
        """The amphora has counted this for a listener."""
        with database.writing(self.engine) as conn:
            statistics.record(conn, [(listener, amphora, balancer, Counters(**counters))])

    def broken(self, amphora: str) -> None:
        """The amphora is in ERROR."""
        with database.writing(self.engine) as conn:
            amphorae.set_status(conn, [amphora], "ERROR")

    def in_state(self, state: str, balancer: str) -> None:
        """The load balancer is in that provisioning status."""
        table = tables.TABLES["loadbalancer"]
        with database.writing(self.engine) as conn:
            conn.execute(update(table).where(table.c.id == balancer).values(provisioning_status=state))

    # ---- values that it takes

    def address(self, host: int) -> str:
        """One of its network."""
        return f"198.18.5.{host}"

    def secret(self, name: str) -> str:
        """The reference of a secret, which nobody looks up."""
        return f"http://127.0.0.1:1/v1/secrets/{name}"


CATALOGUES = ("flavors", "flavorprofiles", "availabilityzones", "availabilityzoneprofiles")
KEYS = {
    "l7policies": "l7policy",
    "availabilityzones": "availability_zone",
    "availabilityzoneprofiles": "availability_zone_profile",
}
"""The envelopes that are not the collection's word without its last letter."""


@contextmanager
def serving(folder: Path, sections: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """Runs the API with a provider and a network that do nothing, and these options besides; its URL."""
    (port,) = free_ports(1)
    every: dict[str, dict[str, object]] = {
        "DEFAULT": {"state_dir": folder, "run_dir": folder},
        "api": {"bind_port": port, "noop": True},
        "network": {"driver": "noop"},
    }
    for group, options in sections.items():
        every.setdefault(group, {}).update(options)
    lines = [f"[{group}]\n" + "".join(f"{each} = {value}\n" for each, value in every[group].items()) for group in every]
    configuration, log = folder / "ottava.conf", folder / "log"
    configuration.write_text("".join(lines))
    with log.open("w") as output:
        process = subprocess.Popen([OTTAVA, "api", "--config-file", configuration], stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(trust_env=False) as client:
            eventually(lambda: process.poll() is not None or _answers(client, url), "the API does not answer")
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def cloud(keystone: Keystone, folder: Path) -> Iterator[Cloud]:
    """A cloud whose database is in the folder."""
    service = keystone.user("ottava", keystone.project("service"), ["service"])
    assert service.project
    connection = f"sqlite:///{folder}/ottava.sqlite"
    sections: Mapping[str, Mapping[str, object]] = {
        "database": {"connection": connection},
        "api": {"auth_strategy": "keystone", "pagination_max_limit": PAGE},
        "keystone_authtoken": {
            "auth_url": keystone.url,
            "auth_type": "password",
            "username": service.name,
            "password": service.password,
            "user_domain_id": "default",
            "project_id": service.project.id,
        },
    }
    with serving(folder, sections) as url:
        yield Cloud(keystone, url, connection)
