# SPDX-License-Identifier: Apache-2.0
"""The whole API in this process: real databases of each kind, real address book, no controller.

Every test here runs on each kind of database, unless its module defines `database_kind` anew.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import falcon.testing
import msgspec
import pytest
from sqlalchemy import Engine, text
from support import databases
from support.conformance import Conformance

from ottava import options
from ottava.api import openapi
from ottava.api.app import create_app, make_site, routes
from ottava.cloud.network.local import LocalNetwork
from ottava.model.graph import LoadBalancerGraph
from ottava.store import engine as database
from ottava.store import graphs
from ottava.store.addresses import Addresses
from ottava.store.tables import CATALOGUE_TABLES

NETWORKS = ("lan 198.18.0.0/16 fd00:0:0:77::/64", "other 198.19.0.0/24")
USERS = {  # name: (project, roles)
    "root": ("p-admin", "admin"),
    "alice": ("p-one", "member"),
    "reader": ("p-one", "reader"),
    "bob": ("p-two", "member"),
    "aodh": ("p-service", "service"),
    "nobody": ("p-one", "other"),
}


class Wakeups:
    """Counts the hints."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self) -> None:
        """See store.wakeup."""
        self.sent += 1


class Api:
    """A client of an API of its own; paths are below /v2/lbaas when they do not begin with a slash.

    Every answer must be as the OpenAPI document says.
    """

    described: Conformance | None = None

    def __init__(self, folder: Path, config: str = "", url: str = "", **api: object) -> None:
        overrides: dict[tuple[str, str], object] = {("DEFAULT", "state_dir"): str(folder)}
        overrides |= {("api", name): value for name, value in api.items()}
        (folder / "ottava.conf").write_text(config)
        self.conf = options.load([str(folder / "ottava.conf")], overrides=overrides)
        self.engine: Engine = database.create_engine(url or f"sqlite:///{folder}/ottava.sqlite")
        database.upgrade(self.engine)
        self.book = Addresses(self.engine)
        self.network = LocalNetwork(NETWORKS, self.book)
        self.wakeup = Wakeups()
        self.app: Any = create_app(self.conf, self.engine, self.network, self.wakeup)
        self.site = make_site(self.conf, self.engine, self.network, self.wakeup)
        Api.described = Api.described or Conformance(openapi.document(routes(self.site)))
        self.client = falcon.testing.TestClient(self.app)
        subnets = self.network.networks()[0].subnets
        self.network_id = self.network.networks()[0].id
        self.subnet_id, self.subnet6_id = subnets[0].id, subnets[1].id
        self.other_subnet_id = self.network.networks()[1].subnets[0].id

    def __call__(
        self, method: str, path: str, body: object = None, user: str | None = None, **more: Any
    ) -> falcon.testing.Result:
        """One request; `body` is encoded as JSON, bytes are sent as they are."""
        headers = dict(more.pop("headers", {}))
        if user is not None:
            headers["Authorization"] = authorization(user)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            more["body"] = body if isinstance(body, bytes) else msgspec.json.encode(body)
        path, _, query = path.partition("?")
        at = path if path.startswith("/") else f"/v2/lbaas/{path}"
        result = self.client.simulate_request(method, at, headers=headers, query_string=query or None, **more)
        assert Api.described
        Api.described.check(method, at, result.status_code, result.headers, result.content)
        return result

    def make(self, collection: str, user: str | None = None, /, **values: object) -> dict[str, Any]:
        """Create one object and return it."""
        key = collection.rsplit("/", 1)[-1]
        key = {"l7policies": "l7policy"}.get(key, key.removesuffix("s"))
        if key == "loadbalancer":
            values = {"vip_subnet_id": self.subnet_id, **values}
        result = self("POST", collection, {key: values}, user=user)
        assert result.status_code == 201, result.text
        return dict(result.json[key])

    def ids(self, collection: str, user: str | None = None) -> list[str]:
        """The ids of a list."""
        result = self("GET", collection, user=user)
        assert result.status_code == 200, result.text
        key = collection.partition("?")[0].rsplit("/", 1)[-1]
        return [each["id"] for each in result.json[key]]

    def graph(self, loadbalancer_id: str) -> LoadBalancerGraph:
        """The load balancer as the controller would load it."""
        with database.reading(self.engine) as conn:
            found = graphs.load(conn, loadbalancer_id)
        assert found is not None
        return found

    def settle(self, loadbalancer_id: str) -> None:
        """Write down, as the controller does, that everything wished so far is so."""
        generation = self.graph(loadbalancer_id).generation
        with database.writing(self.engine) as conn:
            graphs.settle(conn, loadbalancer_id, generation)

    def everything(self) -> dict[str, list[Any]]:
        """Every row of every table but what time alone changes: to show that a refusal changed nothing."""
        found = {}
        with database.reading(self.engine) as conn:
            for table in ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "rule", "tag",
                          "address", "work", "amphora", *CATALOGUE_TABLES):  # fmt: skip
                found[table] = [tuple(row) for row in conn.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))]
        return found


def authorization(user: str, password: str | None = None) -> str:
    """The header of HTTP basic; everybody's password is "secret of NAME"."""
    import base64

    return "Basic " + base64.b64encode(f"{user}:{password or 'secret of ' + user}".encode()).decode()


@pytest.fixture(scope="module", params=databases.KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return str(request.param)


@contextmanager
def served(kind: str, folder: Path, **options: Any) -> Iterator[Api]:
    """An API on a new database of a kind."""
    with databases.empty(kind, folder) as url:
        api = Api(folder, url=url, **options)
        yield api
        api.engine.dispose()


@pytest.fixture(scope="module")
def api(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API without authentication, shared by the tests of a module."""
    with served(database_kind, tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture(scope="module")
def accepting(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The same, with a provider that takes everything as the default."""
    enabled = {"noop_driver": "Nobody.", "ottava": "The native one."}
    options: dict[str, Any] = {"enabled_provider_drivers": enabled, "default_provider_driver": "noop_driver"}
    with served(database_kind, tmp_path_factory.mktemp("accepting"), **options) as api:
        yield api


@pytest.fixture
def fresh(database_kind: str, tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Makes an API of the test's own with options: `fresh(immutable_while_pending=True)`."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(database_kind, tmp_path, **options))


@pytest.fixture(scope="session")
def user_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of USERS."""
    path = tmp_path_factory.mktemp("users") / "users"
    lines = []
    for name, (project, roles) in USERS.items():
        hashed = bcrypt.hashpw(f"secret of {name}".encode(), bcrypt.gensalt(4)).decode()
        lines.append(f"{name}:{hashed}:{project}:{roles}\n")
    path.write_text("# users\n\n" + "".join(lines))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def secure(database_kind: str, tmp_path_factory: pytest.TempPathFactory, user_file: Path) -> Iterator[Api]:
    """An API with http_basic, shared by the tests of a module."""
    options = {"auth_strategy": "http_basic", "http_basic_auth_user_file": str(user_file)}
    with served(database_kind, tmp_path_factory.mktemp("secure"), **options) as api:
        yield api
