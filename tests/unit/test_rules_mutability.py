# SPDX-License-Identifier: Apache-2.0
"""Which states allow a change, and what a change makes pending: the locking table of the contract."""

from typing import Any

import pytest
from support.trees import graph, make

from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules import mutability

CHILDREN = (Listener, Pool, Member, HealthMonitor, L7Policy, L7Rule)
VERBS = ("create", "update", "delete")
LEAVING = status.PENDING_DELETE
UPDATED = status.PENDING_UPDATE


def whole(**load_balancer: Any) -> LoadBalancerGraph:
    return graph(*(make(cls, **({"default_pool_id": "pool"} if cls is Listener else {})) for cls in CHILDREN),
                 **load_balancer)  # fmt: skip


def find(found: LoadBalancerGraph, cls: type[Resource]) -> Resource:
    return next(each for each in found.objects() if isinstance(each, cls))


def outcome(found: LoadBalancerGraph, thing: Resource, verb: str, strict: bool) -> object:
    try:
        mutability.check(found, thing, verb, strict)
    except errors.Refused as error:
        return type(error), error.facts
    return None


@pytest.mark.parametrize("verb", ["update", "delete", "failover"])
@pytest.mark.parametrize("state", status.PROVISIONING)
@pytest.mark.parametrize("strict", [False, True])
def test_verbs_of_a_load_balancer(verb: str, state: str, strict: bool) -> None:
    found = whole(provisioning_status=state)
    strictly = ("ACTIVE",) if verb == "update" else ("ACTIVE", "ERROR")
    allowed = state in strictly if strict else state != LEAVING
    expected = None if allowed else (errors.InvalidState, {"state": state, "id": "lb"})
    assert outcome(found, found.load_balancer, verb, strict) == expected


@pytest.mark.parametrize("strict", [False, True])
def test_a_new_load_balancer_is_in_nobodys_way(strict: bool) -> None:
    new = graph(provisioning_status=status.PENDING_CREATE)
    assert outcome(new, new.load_balancer, "create", strict) is None


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", status.PROVISIONING)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("cls", CHILDREN)
def test_verbs_below_a_load_balancer(cls: type[Resource], verb: str, state: str, strict: bool) -> None:
    found = whole(provisioning_status=state)
    allowed = state == "ACTIVE" if strict else state != LEAVING
    expected = None if allowed else (errors.Immutable, {"resource": "Load Balancer", "id": "lb"})
    assert outcome(found, make(cls), verb, strict) == expected


@pytest.mark.parametrize(
    ("cls", "gate", "word"),
    [(Member, Pool, "Pool"), (HealthMonitor, Pool, "Pool"), (L7Rule, L7Policy, "L7Policy")],
)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", status.PROVISIONING)
@pytest.mark.parametrize("strict", [False, True])
def test_a_parent_is_a_gate_before_the_load_balancer(
    cls: type[Resource], gate: type[Resource], word: str, verb: str, state: str, strict: bool
) -> None:
    found = whole(provisioning_status=LEAVING if state == LEAVING else status.ACTIVE)
    parent = find(found, gate)
    parent.provisioning_status = state
    allowed = state == "ACTIVE" if strict else state != LEAVING
    expected = None if allowed else (errors.Immutable, {"resource": word, "id": parent.id})
    assert outcome(found, make(cls), verb, strict) == expected


@pytest.mark.parametrize("cls", CHILDREN)
@pytest.mark.parametrize("verb", ["update", "delete"])
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_being_deleted_stays_so(cls: type[Resource], verb: str, strict: bool) -> None:
    thing = make(cls, provisioning_status=LEAVING)
    refused = outcome(whole(), thing, verb, strict)
    assert isinstance(refused, tuple)
    assert refused[0] is errors.Immutable
    assert refused[1]["id"] == thing.id


@pytest.mark.parametrize("cls", [L7Policy, L7Rule])
def test_below_a_listener_on_its_way_out_nothing_changes(cls: type[Resource]) -> None:
    found = whole()
    found.listeners["listener"].provisioning_status = LEAVING
    assert outcome(found, make(cls), "create", False) == (
        errors.Immutable, {"resource": "Listener", "id": "listener"},
    )  # fmt: skip


def test_a_pool_outlives_a_listener_on_its_way_out() -> None:
    """Its members change although one of the listeners that use it is being deleted."""
    found = whole()
    found.listeners["listener"].provisioning_status = LEAVING
    assert outcome(found, make(Member), "create", True) is None
    assert outcome(found, make(Pool), "update", False) is None
    assert ("listener", "listener", UPDATED) not in mutability.mark(found, make(Member), "create")


ABOVE: dict[type[Resource], list[tuple[str, str]]] = {
    LoadBalancer: [],
    Listener: [("loadbalancer", "lb")],
    Pool: [("loadbalancer", "lb"), ("listener", "listener")],
    Member: [("loadbalancer", "lb"), ("listener", "listener"), ("pool", "pool")],
    HealthMonitor: [("loadbalancer", "lb"), ("listener", "listener"), ("pool", "pool")],
    L7Policy: [("loadbalancer", "lb"), ("listener", "listener")],
    L7Rule: [("loadbalancer", "lb"), ("listener", "listener"), ("l7policy", "policy")],
}


@pytest.mark.parametrize("cls", ABOVE)
@pytest.mark.parametrize("verb", VERBS)
def test_what_becomes_pending(cls: type[Resource], verb: str) -> None:
    thing = make(cls)
    marked = mutability.mark(whole(), thing, verb)
    assert marked == [(*each, UPDATED) for each in ABOVE[cls]] + [
        (cls.kind.name, thing.id, f"PENDING_{verb.upper()}")
    ]  # fmt: skip


def test_a_failover_is_an_update_of_the_load_balancer() -> None:
    found = whole()
    assert mutability.mark(found, found.load_balancer, "failover") == [("loadbalancer", "lb", UPDATED)]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("cls", ABOVE)
def test_what_is_not_ready_yet_is_still_being_created(cls: type[Resource], verb: str) -> None:
    found = whole(provisioning_status=status.PENDING_CREATE)
    for each in found.objects():
        each.provisioning_status = status.PENDING_CREATE
    thing = make(cls, provisioning_status=status.PENDING_CREATE)
    marked = mutability.mark(found, thing, verb)
    assert [each[:2] for each in marked] == [*ABOVE[cls], (cls.kind.name, thing.id)]
    assert {each[2] for each in marked[:-1]} <= {status.PENDING_CREATE}
    assert marked[-1][2] == (LEAVING if verb == "delete" else status.PENDING_CREATE)


@pytest.mark.parametrize(
    ("policy", "ruled", "marked"),
    [({}, True, True), ({}, False, False), ({"admin_state_up": False}, True, False)],
)
def test_a_listener_uses_a_pool_by_an_enabled_policy_with_a_rule(policy: Any, ruled: bool, marked: bool) -> None:
    found = graph(
        make(Listener), make(Pool),
        make(L7Policy, action="REDIRECT_TO_POOL", redirect_pool_id="pool", **policy),
        *([make(L7Rule)] if ruled else []),
    )  # fmt: skip
    assert (("listener", "listener", UPDATED) in mutability.mark(found, make(Member), "create")) == marked
