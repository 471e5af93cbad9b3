# SPDX-License-Identifier: Apache-2.0
"""The declarations agree with each other, and a graph finds what belongs together."""

import pytest
from support.trees import graph, make

from ottava.model import status
from ottava.model.attribute import Create, attributes, defaults
from ottava.model.graph import RESOURCES
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import INSERT_HEADERS, POOL_PROTOCOLS, PROTOCOLS, TLS_INSERT_HEADERS, Listener
from ottava.model.member import Member
from ottava.model.pool import PROTOCOLS as POOL_SPEAKS
from ottava.model.pool import Pool
from ottava.model.quota import Quota
from ottava.model.resource import Resource

KINDS = pytest.mark.parametrize("cls", RESOURCES.values(), ids=RESOURCES)


@KINDS
def test_a_default_is_a_value_that_may_be_sent(cls: type[Resource]) -> None:
    for name, value in defaults(cls).items():
        if value not in (None, (), {}):
            assert attributes(cls)[name].scalar.read(value) == value, name


@KINDS
def test_what_must_be_sent_has_no_default(cls: type[Resource]) -> None:
    for name, each in attributes(cls).items():
        if each.create is Create.REQUIRED:
            assert name not in defaults(cls), name


@KINDS
def test_what_may_be_left_out_has_a_default(cls: type[Resource]) -> None:
    told = {"project_id", "loadbalancer_id"}  # by the caller or the tree
    for name, each in attributes(cls).items():
        if each.create is Create.OPTIONAL and name not in told:
            assert name in defaults(cls), name


@KINDS
def test_every_field_is_declared_and_described(cls: type[Resource]) -> None:
    assert set(cls.__struct_fields__) == set(attributes(cls))
    assert all(each.about.endswith(".") for each in attributes(cls).values())


@KINDS
def test_relations_lead_to_attributes_that_exist(cls: type[Resource]) -> None:
    for relation in cls.kind.relations:
        owner = RESOURCES[relation.target] if relation.reverse else cls
        assert relation.key in attributes(owner)
        assert relation.name not in attributes(cls)
    assert cls.kind.parent is None or cls.kind.parent in attributes(cls)
    assert set(cls.kind.nested.values()) <= set(RESOURCES)


@KINDS
def test_a_graph_has_a_place_for_each_kind_and_parents_come_first(cls: type[Resource]) -> None:
    found = graph(*(make(each) for each in reversed(RESOURCES.values()) if each.kind.parent))
    order = [type(each) for each in found.objects()]
    assert order == list(RESOURCES.values())
    if cls.kind.parent:
        parent = RESOURCES[cls.kind.parent.removesuffix("_id")]
        assert order.index(parent) < order.index(cls)


def test_which_pools_may_stand_behind_a_listener_is_said_of_each() -> None:
    assert set(POOL_PROTOCOLS) == set(PROTOCOLS)
    assert {each for pools in POOL_PROTOCOLS.values() for each in pools} == set(POOL_SPEAKS)
    assert all(name.startswith("X-") for name in (*INSERT_HEADERS, *TLS_INSERT_HEADERS))


def test_there_is_a_quota_for_each_kind() -> None:
    assert set(attributes(Quota)) == {"l7rule" if kind == "rule" else kind for kind in RESOURCES}


def test_children_are_found_by_their_parents() -> None:
    found = graph(
        make(Member, id="a"), make(Member, id="b", pool_id="other"),
        make(L7Rule, id="c"), make(L7Rule, id="d", l7policy_id="other"),
        make(L7Policy, id="third", position=3), make(L7Policy, id="first", position=1),
        make(L7Policy, id="elsewhere", listener_id="other"),
    )  # fmt: skip
    assert [each.id for each in found.members_of("pool")] == ["a"]
    assert [each.id for each in found.rules_of("policy")] == ["c"]
    assert [each.id for each in found.policies_of("listener")] == ["first", "third"]
    assert found.healthmonitor_of("pool") is None


def test_a_monitor_that_stays_comes_before_one_on_its_way_out() -> None:
    leaving = make(HealthMonitor, id="old", provisioning_status=status.PENDING_DELETE)
    assert graph(leaving).healthmonitor_of("pool") == leaving
    both = graph(leaving, make(HealthMonitor, id="new"))
    found = both.healthmonitor_of("pool")
    assert found is not None
    assert found.id == "new"


def test_listeners_that_use_a_pool_by_default_or_by_policy_once_each() -> None:
    found = graph(
        make(Listener, id="by default", default_pool_id="pool"),
        make(Listener, id="by policy"),
        make(Listener, id="both", default_pool_id="pool"),
        make(Listener, id="neither"),
        make(Pool),
        *(
            make(L7Policy, id=f"of {each}", listener_id=each, action="REDIRECT_TO_POOL", redirect_pool_id="pool")
            for each in ("by policy", "both")
        ),
        *(make(L7Rule, id=f"for {each}", l7policy_id=f"of {each}") for each in ("by policy", "both")),
    )
    assert [each.id for each in found.listeners_using("pool")] == ["by default", "by policy", "both"]
    assert found.listeners_using("other") == []
