# SPDX-License-Identifier: Apache-2.0
"""From reports to operating statuses: the table of the contract, line by line."""

from typing import Any

import pytest
from support.trees import graph, make

from ottava.model import status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules import health
from ottava.wire.heartbeat import ListenerReport, PoolReport, Report

LEAVING = status.PENDING_DELETE


def report(
    pools: dict[str, PoolReport] | None = None, listeners: dict[str, str] | None = None, **values: Any
) -> Report:
    known: dict[str, Any] = {
        "amphora_id": "amphora", "loadbalancer_id": "lb", "epoch": 1, "generation": 9, "digest": "", "running": True,
        "listeners": {id: ListenerReport(state) for id, state in (listeners or {"listener": "OPEN"}).items()},
        "pools": pools or {},
    }  # fmt: skip
    return Report(**{**known, **values})


def pool_report(state: str = "UP", **members: str) -> dict[str, PoolReport]:
    return {"pool:listener": PoolReport(state, members)}


def after(found: LoadBalancerGraph, *reports: Report) -> dict[str, str]:
    """The status of every object, by id, once the changes are written; writing them twice changes nothing."""
    tree = {(each.kind.name, each.id): each for each in found.objects()}
    changes = health.operating(found, reports)
    for kind, id, new in changes:
        assert tree[kind, id].operating_status != new
        tree[kind, id].operating_status = new
    assert health.operating(found, reports) == []
    return {each.id: each.operating_status for each in found.objects()}


def monitored(*more: Resource, **load_balancer: Any) -> LoadBalancerGraph:
    return graph(make(Listener, default_pool_id="pool"), make(Pool), make(HealthMonitor), *more, **load_balancer)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("UP", "ONLINE"),
        ("DOWN", "ERROR"),
        ("DRAIN", "DRAINING"),
        ("MAINT", "OFFLINE"),
        ("no check", "OFFLINE"),
        ("RESTARTING", "DEGRADED"),
        (None, "OFFLINE"),
    ],
)
def test_monitored_members(word: str | None, expected: str) -> None:
    found = monitored(make(Member, operating_status="DEGRADED"))
    told = pool_report(**({"member": word} if word else {}))
    assert after(found, report(told))["member"] == expected


@pytest.mark.parametrize(
    ("member", "monitor", "word", "expected"),
    [
        ({}, None, "no check", "NO_MONITOR"),
        ({}, None, "UP", "NO_MONITOR"),
        ({}, {"admin_state_up": False}, "no check", "NO_MONITOR"),
        ({}, {"provisioning_status": LEAVING}, "UP", "NO_MONITOR"),
        ({}, {"pool_id": "other"}, "UP", "NO_MONITOR"),
        ({"weight": 0}, None, "DRAIN", "DRAINING"),
        ({"weight": 0}, {}, "UP", "DRAINING"),
        ({"weight": 0}, {}, "DOWN", "ERROR"),
        ({"admin_state_up": False}, None, "MAINT", "OFFLINE"),
        ({"admin_state_up": False}, {}, "UP", "OFFLINE"),
        ({"provisioning_status": LEAVING}, {}, "DOWN", "ONLINE"),
    ],
)
def test_members_that_are_not_simply_checked(member: Any, monitor: Any, word: str, expected: str) -> None:
    things = [make(Member, **member)] + ([make(HealthMonitor, **monitor)] if monitor is not None else [])
    found = graph(make(Listener, default_pool_id="pool"), make(Pool), *things)
    assert after(found, report(pool_report(member=word)))["member"] == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (pool_report("UP", member="UP", second="UP"), "ONLINE"),
        (pool_report("UP", member="UP", second="DOWN"), "DEGRADED"),
        (pool_report("DOWN", member="DOWN", second="DOWN"), "ERROR"),
        (pool_report("DOWN", member="MAINT", second="DRAIN"), "ERROR"),
        (pool_report("UP"), "ONLINE"),
        (pool_report("DOWN"), "ONLINE"),
        ({}, "OFFLINE"),
    ],
)
def test_pools(told: dict[str, PoolReport], expected: str) -> None:
    found = monitored(make(Member), make(Member, id="second"))
    assert after(found, report(told))["pool"] == expected


def test_of_a_pool_behind_several_listeners_the_worst_counts() -> None:
    found = monitored(make(Member), make(Listener, id="other", protocol_port=81, default_pool_id="pool"))
    told = {
        "pool:listener": PoolReport("UP", {"member": "UP"}),
        "pool:other": PoolReport("DOWN", {"member": "DOWN"}),
    }
    seen = after(found, report(told, {"listener": "OPEN", "other": "OPEN"}))
    assert (seen["member"], seen["pool"], seen["lb"]) == ("ERROR", "ERROR", "ERROR")
    assert (seen["listener"], seen["other"]) == ("ONLINE", "ONLINE")


def test_a_pool_that_no_listener_uses_is_offline_and_does_not_count() -> None:
    found = monitored(make(Pool, id="detached"), make(Member, id="idle", pool_id="detached"))
    seen = after(found, report(pool_report("UP")))
    assert (seen["detached"], seen["idle"], seen["lb"]) == ("OFFLINE", "NO_MONITOR", "ONLINE")


def test_a_disabled_pool_is_offline() -> None:
    found = graph(make(Listener, default_pool_id="pool"), make(Pool, admin_state_up=False))
    assert after(found, report(pool_report("UP")))["pool"] == "OFFLINE"


@pytest.mark.parametrize(
    ("listener", "load_balancer", "told", "expected"),
    [
        ({}, {}, "OPEN", "ONLINE"),
        ({}, {}, "FULL", "DEGRADED"),
        ({}, {}, None, "ERROR"),
        ({}, {"provisioning_status": "PENDING_UPDATE"}, None, "OFFLINE"),
        ({"admin_state_up": False}, {}, None, "OFFLINE"),
        ({}, {"admin_state_up": False}, None, "OFFLINE"),
        ({"provisioning_status": LEAVING}, {}, None, "ONLINE"),
    ],
)
def test_listeners(listener: Any, load_balancer: Any, told: str | None, expected: str) -> None:
    found = graph(make(Listener, **listener), **load_balancer)
    seen = report(listeners={"listener": told} if told else {"other": "OPEN"})
    assert after(found, seen)["listener"] == expected


@pytest.mark.parametrize(
    ("listener", "pool", "expected"),
    [
        ("OPEN", pool_report("UP", member="UP"), "ONLINE"),
        ("FULL", pool_report("UP", member="UP"), "DEGRADED"),
        ("OPEN", pool_report("UP", member="UP", second="DOWN"), "DEGRADED"),
        ("OPEN", pool_report("DOWN", member="DOWN"), "ERROR"),
        ("FULL", pool_report("DOWN", member="DOWN"), "ERROR"),
        (None, pool_report("UP", member="UP"), "ONLINE"),
    ],
)
def test_load_balancers(listener: str | None, pool: dict[str, PoolReport], expected: str) -> None:
    found = monitored(make(Member), make(Member, id="second"), operating_status="OFFLINE")
    assert after(found, report(pool, {"listener": listener} if listener else {"x": "OPEN"}))["lb"] == expected


def test_a_disabled_load_balancer_is_offline_whatever_is_reported() -> None:
    found = monitored(make(Member), admin_state_up=False)
    assert after(found, report(pool_report("DOWN", member="DOWN")))["lb"] == "OFFLINE"


def test_a_proxy_that_does_not_run_serves_nothing() -> None:
    found = monitored(make(Member))
    seen = after(found, report(pool_report("UP", member="UP"), running=False))
    assert (seen["lb"], seen["listener"], seen["pool"], seen["member"]) == ("ERROR", "ERROR", "OFFLINE", "OFFLINE")


def test_without_listeners_nothing_needs_to_run() -> None:
    assert after(graph(), report(running=False, listeners={"x": "OPEN"}))["lb"] == "ONLINE"


def test_no_report_changes_nothing() -> None:
    assert health.operating(monitored(make(Member)), ()) == []


def test_an_older_report_says_nothing_of_what_changed_since() -> None:
    found = monitored(make(Member, generation=3), make(Member, id="new", generation=5), generation=5)
    found.pools["pool"].generation = 5
    found.listeners["listener"].generation = 4
    seen = after(found, report(pool_report("DOWN", member="DOWN"), {"x": "OPEN"}, generation=4))
    assert seen == {
        "lb": "ONLINE", "listener": "ERROR", "pool": "ONLINE", "member": "ERROR", "new": "ONLINE", "monitor": "ONLINE",
    }  # fmt: skip


def test_of_two_amphorae_the_worst_counts_but_only_those_that_can_know() -> None:
    found = monitored(make(Member, generation=5))
    old = report(pool_report("DOWN", member="DOWN"), generation=4)
    new = report(pool_report("UP", member="UP"), generation=5)
    assert after(found, new, old)["member"] == "ONLINE"
    assert after(found, new, report(pool_report("DOWN", member="DOWN"), generation=6))["member"] == "ERROR"


@pytest.mark.parametrize("cls", [HealthMonitor, L7Policy, L7Rule])
@pytest.mark.parametrize(("up", "expected"), [(True, "ONLINE"), (False, "OFFLINE")])
def test_what_no_proxy_reports_on_is_online_once_applied(cls: type[Resource], up: bool, expected: str) -> None:
    thing = make(cls, admin_state_up=up, operating_status="DEGRADED")
    found = graph(thing)
    assert health.applied(found) == [(cls.kind.name, thing.id, expected)]


@pytest.mark.parametrize(
    ("member", "has_monitor", "expected"),
    [
        ({"operating_status": "ONLINE"}, True, None),
        ({"operating_status": "ERROR"}, True, None),
        ({"operating_status": "NO_MONITOR"}, True, "OFFLINE"),
        ({"operating_status": "ERROR"}, False, "NO_MONITOR"),
        ({"operating_status": "NO_MONITOR"}, False, None),
        ({"operating_status": "NO_MONITOR", "weight": 0}, False, "DRAINING"),
        ({"operating_status": "ONLINE", "admin_state_up": False}, True, "OFFLINE"),
        ({"operating_status": "ONLINE", "admin_state_up": False}, False, "OFFLINE"),
        ({"operating_status": "ERROR", "provisioning_status": LEAVING}, False, None),
    ],
)
def test_members_once_applied(member: Any, has_monitor: bool, expected: str | None) -> None:
    found = graph(make(Member, **member), *([make(HealthMonitor)] if has_monitor else []))
    assert health.applied(found) == ([("member", "member", expected)] if expected else [])


@pytest.mark.parametrize("cls", [Listener, Pool])
def test_what_is_disabled_is_offline_once_applied_and_what_is_enabled_is_for_the_reports(cls: type[Resource]) -> None:
    assert health.applied(graph(make(cls, admin_state_up=False))) == [(cls.kind.name, cls.kind.name, "OFFLINE")]
    assert health.applied(graph(make(cls, operating_status="ERROR"))) == []
    assert health.applied(graph(admin_state_up=False)) == [("loadbalancer", "lb", "OFFLINE")]
