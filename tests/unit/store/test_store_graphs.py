# SPDX-License-Identifier: Apache-2.0
"""Resources and whole trees: written, read, settled, blamed and forgotten."""

import msgspec
import pytest
from sqlalchemy import func, select
from support.threads import together
from support.trees import make

from ottava.model import status
from ottava.model.amphora import Amphora
from ottava.model.attribute import attributes
from ottava.model.graph import RESOURCES
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool, SessionPersistence
from ottava.store import amphorae, graphs, heartbeats, query, resources, statistics, tables, work
from ottava.store import engine as engines
from ottava.wire.heartbeat import Counters, Heartbeat, ListenerReport, Report

AWKWARD = 'it\'s "100%" ; -- \\ \u00e9\U0001f600'


def tree():
    return (
        make(LoadBalancer, tags=("b", "a"), name=AWKWARD),
        make(
            Listener,
            default_pool_id="pool",
            insert_headers={"X-Forwarded-For": "true"},
            allowed_cidrs=("192.0.2.0/24",),
        ),
        make(Pool, session_persistence=SessionPersistence(type="APP_COOKIE", cookie_name="c"), tags=(AWKWARD,)),
        make(Member, monitor_port=None, backup=True),
        make(HealthMonitor, http_version=1.1),
        make(L7Policy, position=1, action="REDIRECT_TO_POOL", redirect_pool_id="pool"),
        make(L7Rule, invert=True, value=AWKWARD),
    )


def write(engine, *things):
    with engines.writing(engine) as conn:
        resources.insert_many(conn, things)


def read(engine, id="lb"):
    with engines.reading(engine) as conn:
        return graphs.load(conn, id)


def kept(thing):
    return msgspec.structs.replace(thing, tags=tuple(sorted(thing.tags)))


def test_what_is_written_is_read_again(engine):
    write(engine, *reversed(tree()))
    with engines.reading(engine) as conn:
        for thing in tree():
            assert resources.get(conn, type(thing), thing.id) == kept(thing)
            assert query.show(conn, type(thing), thing.id)[0] == kept(thing)
            assert graphs.loadbalancer_of(conn, type(thing), thing.id) == "lb"
            assert resources.get(conn, type(thing), "none") is None
            assert query.show(conn, type(thing), "none") is None
            assert graphs.loadbalancer_of(conn, type(thing), "none") is None
    assert list(read(engine).objects()) == [kept(thing) for thing in tree()]
    assert read(engine, "none") is None


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_attribute_can_be_changed(engine, kind):
    write(engine, *tree())
    old = next(thing for thing in tree() if thing.kind.name == kind)
    others = {"string": "other", "text": "other", "integer": 7, "float": 1.0, "boolean": False}
    for name, attribute in attributes(type(old)).items():
        if name == "id" or name == type(old).kind.parent or name == "loadbalancer_id" or attribute.scalar.sql == "json":
            continue
        value = others[attribute.scalar.sql.partition(":")[0]]
        with engines.writing(engine) as conn:
            assert resources.change(conn, type(old), old.id, {name: value})
            assert getattr(resources.get(conn, type(old), old.id), name) == value
    with engines.writing(engine) as conn:
        assert resources.change(conn, type(old), old.id, {"tags": ("z", "y", "z")})
        assert resources.get(conn, type(old), old.id).tags == ("y", "z")
        assert resources.change(conn, type(old), old.id, {"tags": ()})
        assert resources.get(conn, type(old), old.id).tags == ()
        assert not resources.change(conn, type(old), "none", {"tags": ("x",)})
        assert not resources.change(conn, type(old), "none", {"project_id": "x"})


def test_only_the_kinds_that_are_asked_for_are_loaded(engine):
    write(engine, *tree())
    with engines.writing(engine) as conn:
        amphorae.place(conn, Amphora(id="amphora", loadbalancer_id="lb", host="h"))
        some = graphs.load(conn, "lb", lock=True, kinds=frozenset({"rule", "pool"}))
        assert [thing.id for thing in some.objects()] == ["lb", "pool", "rule"]
        assert not some.amphorae
        assert list(graphs.load(conn, "lb", kinds=frozenset({"amphora"})).amphorae) == ["amphora"]
        assert list(graphs.load(conn, "lb").amphorae) == ["amphora"]


def test_children_come_in_the_order_of_creation(engine):
    pools = [
        make(Pool, id=id, created_at=f"2026-01-0{day}T00:00:00.000000") for id, day in (("x", 2), ("y", 1), ("a", 2))
    ]
    write(engine, make(LoadBalancer), *pools)
    assert list(read(engine).pools) == ["y", "a", "x"]
    with engines.reading(engine) as conn:
        assert query.show(conn, LoadBalancer, "lb")[1] == {"listeners": [], "pools": ["y", "a", "x"]}


def test_one_at_a_time_holds_the_lock_of_a_load_balancer(engine):
    write(engine, make(LoadBalancer, description="0"))

    def add(conn):
        graph = graphs.load(conn, "lb", lock=True)
        count = int(graph.load_balancer.description) + 1
        resources.change(conn, LoadBalancer, "lb", {"description": str(count)})
        assert work.touch(conn, "lb") == graph.generation + 1

    together(lambda: [engines.retrying(engine, add) for _ in range(15)], times=4)
    graph = read(engine)
    assert (graph.load_balancer.description, graph.generation) == ("60", 61)


def test_settling_a_generation_leaves_what_changed_since(engine):
    write(
        engine,
        make(LoadBalancer, provisioning_status=status.PENDING_UPDATE, generation=5),
        make(Listener, provisioning_status=status.PENDING_CREATE, generation=4),
        make(Pool, provisioning_status=status.ERROR, fault="bad", generation=3),
        make(Pool, id="later", provisioning_status=status.PENDING_DELETE, generation=5),
        make(Member, provisioning_status=status.PENDING_UPDATE, fault="bad", generation=5),
        make(HealthMonitor, provisioning_status=status.PENDING_DELETE, generation=4),
    )
    with engines.writing(engine) as conn:
        graphs.settle(conn, "lb", 4)
    found = {thing.id: (thing.provisioning_status, thing.fault) for thing in read(engine).objects()}
    assert found == {
        "lb": (status.PENDING_UPDATE, None),
        "listener": (status.ACTIVE, None),
        "pool": (status.ACTIVE, None),
        "later": (status.PENDING_DELETE, None),
        "member": (status.PENDING_UPDATE, "bad"),
    }
    with engines.writing(engine) as conn:
        graphs.settle(conn, "lb", 5)
        graphs.settle(conn, "none", 5)
    found = {thing.id: (thing.provisioning_status, thing.fault) for thing in read(engine).objects()}
    assert found == dict.fromkeys(("lb", "listener", "pool", "member"), (status.ACTIVE, None))


def test_a_load_balancer_to_be_deleted_is_not_settled(engine):
    write(engine, make(LoadBalancer, provisioning_status=status.PENDING_DELETE, generation=1))
    with engines.writing(engine) as conn:
        graphs.settle(conn, "lb", 9)
    assert read(engine).load_balancer.provisioning_status == status.PENDING_DELETE


def test_removing_takes_all_below_and_every_mention(engine):
    write(engine, *tree())
    with engines.writing(engine) as conn:
        graphs.set_provisioning(conn, [("pool", "pool", status.PENDING_DELETE)], 2)
        graphs.settle(conn, "lb", 2)
    graph = read(engine)
    assert {thing.id for thing in graph.objects()} == {"lb", "listener", "policy", "rule"}
    assert graph.listeners["listener"].default_pool_id is None
    assert graph.l7policies["policy"].redirect_pool_id is None
    with engines.reading(engine) as conn:
        assert set(conn.execute(select(tables.tag.c.resource_id)).scalars()) == {"lb"}


def test_policies_that_stay_are_numbered_from_one(engine):
    policies = [make(L7Policy, id=f"p{n}", position=n, generation=1) for n in (1, 2, 3, 4)]
    elsewhere = make(L7Policy, id="q", listener_id="other", position=3)
    write(engine, make(LoadBalancer), make(Listener), make(Listener, id="other"), *policies, elsewhere)
    with engines.writing(engine) as conn:
        graphs.set_provisioning(conn, [("l7policy", id, status.PENDING_DELETE) for id in ("p1", "p3")], 2)
        graphs.settle(conn, "lb", 2)
    assert {each.id: each.position for each in read(engine).l7policies.values()} == {"p2": 1, "p4": 2, "q": 3}


def test_blame_reaches_what_waits_for_the_wish_and_nothing_newer(engine):
    write(
        engine,
        make(LoadBalancer, provisioning_status=status.PENDING_UPDATE, generation=4),
        make(Listener, provisioning_status=status.PENDING_UPDATE, generation=4),
        make(Listener, id="fine", generation=1),
        make(Listener, id="culprit", generation=1),
        make(Listener, id="newer", provisioning_status=status.PENDING_CREATE, generation=5),
        make(Listener, id="leaving", provisioning_status=status.PENDING_DELETE, generation=4),
    )
    write(engine, make(LoadBalancer, id="lb2"), make(Listener, id="apart", loadbalancer_id="lb2"))
    with engines.writing(engine) as conn:
        graphs.blame(conn, "lb", 4, "no", ["culprit", "apart"])
        graphs.blame(conn, "none", 4, "no", [])
    found = {thing.id: (thing.provisioning_status, thing.fault) for thing in read(engine).objects()}
    assert found == {
        "lb": (status.ERROR, "no"),
        "listener": (status.ERROR, "no"),
        "fine": (status.ACTIVE, None),
        "culprit": (status.ERROR, "no"),
        "newer": (status.PENDING_CREATE, None),
        "leaving": (status.PENDING_DELETE, "no"),
    }
    assert read(engine, "lb2").listeners["apart"].fault is None
    with engines.writing(engine) as conn:
        graphs.settle(conn, "lb", 4)
    found = {thing.id: thing.provisioning_status for thing in read(engine).objects()}
    assert found == {
        **dict.fromkeys(("lb", "listener", "fine", "culprit"), status.ACTIVE),
        "newer": status.PENDING_CREATE,
    }


def test_statuses_are_written(engine):
    write(engine, make(LoadBalancer, provisioning_status=status.ERROR, fault="bad"), make(Pool), make(Pool, id="pool2"))
    with engines.writing(engine) as conn:
        graphs.set_operating(conn, [("pool", "pool", status.DEGRADED), ("pool", "none", status.DEGRADED)])
        graphs.set_provisioning(
            conn, [("loadbalancer", "lb", status.PENDING_UPDATE), ("pool", "pool2", status.ERROR)], 7
        )
    graph = read(engine)
    assert (graph.load_balancer.provisioning_status, graph.load_balancer.fault) == (status.PENDING_UPDATE, None)
    assert graph.load_balancer.generation == 7
    assert [each.operating_status for each in graph.pools.values()] == [status.DEGRADED, status.ONLINE]
    assert [each.generation for each in graph.pools.values()] == [0, 7]


def test_forgetting_leaves_no_row_anywhere(engine):
    def populate(id):
        write(engine, *(renamed(thing, id) for thing in tree()))
        with engines.writing(engine) as conn:
            amphorae.place(conn, Amphora(id=f"{id}-amphora", loadbalancer_id=id, host="h"))
            listeners = {f"{id}-listener": ListenerReport("OPEN", Counters(1, 2, 3, 4, 5))}
            report = Report(
                amphora_id=f"{id}-amphora", loadbalancer_id=id, epoch=1, generation=1, digest="", running=True,
                listeners=listeners,
            )  # fmt: skip
            number = {"a": 1, "b": 2}[id]
            heartbeats.record(
                conn, [Heartbeat(host="h", url="u", started=1.0, sequence=number, partial=True, reports=(report,))]
            )

    def rows():
        with engines.reading(engine) as conn:
            return {
                table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
                for table in tables.metadata.sorted_tables
                if table.name != "host"
            }

    populate("a")
    one = rows()
    assert all(one[name] for name in (*RESOURCES, "tag", "work", "amphora", "report", "statistics"))
    populate("b")
    with engines.writing(engine) as conn:
        graphs.forget(conn, "a")
        graphs.forget(conn, "a")
    assert rows() == one
    assert statistics_of(engine, "b").bytes_in == 2
    with engines.writing(engine) as conn:
        graphs.forget(conn, "b")
    assert not any(rows().values())


def statistics_of(engine, id):
    with engines.reading(engine) as conn:
        return statistics.of_load_balancer(conn, id)


def renamed(thing, prefix):
    """The object in a tree of its own."""
    names = {
        name: prefix if value == "lb" else f"{prefix}-{value}"
        for name in (
            "id",
            "loadbalancer_id",
            "listener_id",
            "pool_id",
            "l7policy_id",
            "default_pool_id",
            "redirect_pool_id",
        )
        if (value := getattr(thing, name, None)) is not None
    }
    return msgspec.structs.replace(thing, **names)
