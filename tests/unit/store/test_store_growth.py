# SPDX-License-Identifier: Apache-2.0
"""What a page of a list costs when the table grows: the rows that the database reads, or its steps on SQLite."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from support import databases, many
from support.trees import TYPICAL, make

from ottava.model.amphora import Amphora, AmphoraInFull
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.store import amphorae, hosts, query, resources
from ottava.store import engine as engines
from ottava.store.query import Query

FEW, MANY = 200, 8000
PAGE = 20
IDS: dict[Any, str] = {cls: str(uuid.uuid4()) for cls in (*TYPICAL, AmphoraInFull)}
BY_NAME = {values["id"]: IDS[cls] for cls, values in TYPICAL.items()}

CHEAP = {  # what is listed, how
    "all": (LoadBalancer, {}, {}),
    "newest first": (LoadBalancer, {"sort": (("created_at", True),)}, {}),
    "by id": (LoadBalancer, {"sort": (("id", False),)}, {}),
    "by name": (LoadBalancer, {"sort": (("name", False),)}, {}),
    "one id": (LoadBalancer, {"filters": (("id", IDS[LoadBalancer]),)}, {}),
    "one name": (LoadBalancer, {"filters": (("name", ".000150"),)}, {}),
    "of a project": (LoadBalancer, {}, {"project_id": "project"}),
    "listeners": (Listener, {}, {}),
    "listeners of one": (Listener, {"filters": (("loadbalancer_id", IDS[LoadBalancer]),)}, {}),
    "members of one": (Member, {}, {"pool_id": BY_NAME["pool"]}),
    "amphorae": (AmphoraInFull, {}, {}),
    "amphorae of one": (AmphoraInFull, {"filters": (("loadbalancer_id", IDS[LoadBalancer]),)}, {}),
    "with a tag": (LoadBalancer, {"tags": ("rare",)}, {}),
}
"""The lists whose pages cost the same in a large table as in a small one."""

GROWING = {"by address": (LoadBalancer, {"sort": (("vip_address", False),)}, {})}
"""Where the database must look at all that may be listed: to see that growth would be noticed."""


def seed() -> list[Any]:
    found = []
    for cls in TYPICAL:
        ties = {key: BY_NAME[value] for key, value in TYPICAL[cls].items() if key.endswith("_id") and value in BY_NAME}
        if cls is not LoadBalancer:
            ties["loadbalancer_id"] = IDS[LoadBalancer]
        found.append(make(cls, id=IDS[cls], **ties))
    return found


def fill(engine: Engine, number: int) -> None:
    databases.clear(engine)
    with engines.writing(engine) as conn:
        resources.insert_many(conn, seed())
        amphorae.place(conn, Amphora(id=IDS[AmphoraInFull], loadbalancer_id=IDS[LoadBalancer], host="h"))
        hosts.seen(conn, "h", "https://192.0.2.7:9443", {})
    with engines.writing(engine) as conn:
        many.copy(conn, number)
        resources.insert(conn, make(LoadBalancer, id=str(uuid.uuid4()), tags=("rare",)))


@pytest.fixture(scope="module")
def costs(url: str) -> dict[str, tuple[float, float]]:
    """The cost of a page with few and with many rows, of each list by its name."""
    engine = engines.create_engine(url)
    found: list[dict[str, float]] = []
    for number in (FEW, MANY):
        fill(engine, number)
        found.append({name: cost(engine, *asked, number) for name, asked in (CHEAP | GROWING).items()})
    databases.clear(engine)
    engine.dispose()
    return {name: (found[0][name], found[1][name]) for name in found[0]}


def cost(engine: Engine, cls: Any, asked: dict[str, Any], scope: dict[str, str], number: int) -> float:
    """Of the page in the middle, where there are so many."""
    marker = f"{number // 2:08x}{IDS[cls][8:]}" if "filters" not in asked and "tags" not in asked else None
    marker = None if scope.keys() == {"pool_id"} else marker
    wanted = Query(limit=PAGE, marker=marker, **asked)
    with engines.reading(engine) as conn:
        query.page(conn, cls, wanted, scope)  # what is found out once is found out now
    with engines.reading(engine) as conn:
        return {"sqlite": steps, "postgresql": actual, "mysql": handled}[engine.dialect.name](
            conn, lambda: query.page(conn, cls, wanted, scope)
        )


def steps(conn: Any, work: Any) -> float:
    count = [0]

    def step() -> None:
        count[0] += 1

    raw = conn.connection.dbapi_connection
    raw.set_progress_handler(step, 100)
    work()
    raw.set_progress_handler(None, 100)
    return count[0]


def handled(conn: Any, work: Any) -> float:
    read = text("SHOW SESSION STATUS LIKE 'Handler_read%'")
    before = sum(int(row[1]) for row in conn.execute(read))
    work()
    return sum(int(row[1]) for row in conn.execute(read)) - before


def actual(conn: Any, work: Any) -> float:
    statements: list[tuple[str, Any]] = []
    event.listen(conn, "before_cursor_execute", lambda *given: statements.append(given[2:4]))
    work()
    (said,) = conn.exec_driver_sql(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statements[-1][0]}", statements[-1][1]
    ).one()
    return rows_of((said if isinstance(said, list) else json.loads(said))[0]["Plan"])


def rows_of(plan: dict[str, Any]) -> float:
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return float(own * plan["Actual Loops"]) + sum(rows_of(each) for each in plan.get("Plans", ()))


@pytest.mark.parametrize("name", CHEAP)
def test_a_page_costs_the_same_in_a_large_table(costs, name):
    few, many = costs[name]
    assert many <= 2 * few + 100, costs


def test_growth_would_be_noticed(costs):
    few, many = costs["by address"]
    assert many > 10 * few
