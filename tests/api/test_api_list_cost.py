# SPDX-License-Identifier: Apache-2.0
"""How many statements a list costs: as many for a long one as for a short one, for every collection that there is."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from support import many

from ottava.api.app import make_site, routes
from ottava.model.amphora import Amphora
from ottava.store import amphorae
from ottava.store import engine as database

from .conftest import Api

COPIES = 30
OTHERS = ("quota", "flavorprofile", "flavor", "availability_zone_profile", "availability_zone")
NOT_IN_THE_DATABASE = {"/v2/providers", "/v2/networks", "/v2/subnets"}


@pytest.fixture(scope="module")
def database_kind() -> str:
    """One is enough: the statements are the same ones on all."""
    return "sqlite"


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    """What stands in the URLs of nested collections; there is one object of each kind."""
    made = api.make(
        "loadbalancers",
        tags=["a", "b"],
        listeners=[{"protocol": "HTTP", "protocol_port": 80, "tags": ["a"], "l7policies": [
            {"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}]}],
        pools=[{"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3}}],
    )  # fmt: skip
    assert api("PUT", "quotas/some", {"quota": {"pool": 3}}).status_code == 202
    profile = api.make("flavorprofiles", name="p", provider_name="ottava", flavor_data="{}")
    api.make("flavors", name="f", flavor_profile_id=profile["id"])
    body = {"name": "p", "provider_name": "ottava", "availability_zone_data": "{}"}
    zones = api("POST", "availabilityzoneprofiles", {"availability_zone_profile": body}).json
    body = {"name": "z", "availability_zone_profile_id": zones["availability_zone_profile"]["id"]}
    assert api("POST", "availabilityzones", {"availability_zone": body}).status_code == 201
    with database.writing(api.engine) as conn:
        amphorae.place(conn, Amphora(id=str(uuid.uuid4()), loadbalancer_id=made["id"], host="h"))
    listener, pool = made["listeners"][0], made["pools"][0]
    return {"loadbalancer_id": made["id"], "pool_id": pool["id"], "l7policy_id": listener["l7policies"][0]["id"]}


def collections(api: Api, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Every route that answers a list of objects, filled in, and the key of its list."""
    site = make_site(api.conf, api.engine, api.network, api.wakeup)
    for route in routes(site):
        path = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "none"), route)
        result = api("GET", path)
        if result.status_code == 200 and "json" in result.headers.get("content-type", ""):
            yield from ((path, key) for key, value in result.json.items() if f"{key}_links" in result.json and value)


def test_no_list_asks_more_often_for_being_longer(api: Api, ids: dict[str, str], statements: list[str]) -> None:
    short = costs(api, ids, statements)
    assert {path for path, _ in short} >= {f"/v2/{name}" for name in ("loadbalancers", "flavors", "quotas")}
    with database.writing(api.engine) as conn:
        many.copy(conn, COPIES, ["member", "rule", "event"], apart=False)
        many.copy(conn, COPIES, [*many.WHOLE, *OTHERS])
    long = costs(api, ids, statements)
    assert {at: number for at, (number, _) in long.items()} == {at: number for at, (number, _) in short.items()}
    grown = {path for (path, _), (_, length) in long.items() if length > COPIES}
    assert grown | NOT_IN_THE_DATABASE >= {path for path, _ in short}


def costs(api: Api, ids: dict[str, str], statements: list[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """For each list the number of statements that it takes, and its length."""
    found = {}
    for path, key in collections(api, ids):
        statements.clear()
        answer = api("GET", path).json
        found[path, key] = len(statements), len(answer[key])
    return found


@pytest.fixture
def statements(api: Api) -> Iterator[list[str]]:
    """What the database is asked."""
    asked: list[str] = []

    def listen(*given: Any) -> None:
        asked.append(given[2])

    event.listen(api.engine, "before_cursor_execute", listen)
    yield asked
    event.remove(api.engine, "before_cursor_execute", listen)
