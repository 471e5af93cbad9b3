# SPDX-License-Identifier: Apache-2.0
"""What must hold across attributes and objects: each rule refuses what it is there to refuse, and nothing beside."""

from typing import Any

import msgspec
import pytest
from support.trees import graph, make

from ottava.model import errors, status
from ottava.model.graph import RESOURCES, LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool, SessionPersistence
from ottava.model.resource import Resource
from ottava.rules import consistency

LEAVING = status.PENDING_DELETE


def tree(*more: Resource) -> LoadBalancerGraph:
    return graph(make(Listener), make(Pool), make(L7Policy), *more)


def accept(thing: Resource, *more: Resource, **load_balancer: Any) -> Resource:
    found = graph(make(Listener, id="listener", protocol_port=8001), make(Pool), make(L7Policy), *more, **load_balancer)
    completed = consistency.complete(found, thing)
    assert consistency.complete(found, completed) == completed
    consistency.check(found, completed)
    return completed


def refuse(error: type[errors.Refused], thing: Resource, *more: Resource, **load_balancer: Any) -> dict[str, object]:
    with pytest.raises(error) as caught:
        accept(thing, *more, **load_balancer)
    assert type(caught.value) is error
    return caught.value.facts


class TestLoadBalancer:
    @pytest.mark.parametrize("source", ["vip_port_id", "vip_network_id", "vip_subnet_id"])
    def test_any_source_of_the_vip_will_do(self, source: str) -> None:
        accept(make(LoadBalancer, **{"vip_port_id": None, source: "something"}))

    def test_an_address_alone_says_nothing_about_where_it_is(self) -> None:
        facts = refuse(errors.Invalid, make(LoadBalancer, vip_port_id=None))
        assert facts["reason"] == "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."

    @pytest.mark.parametrize("child", [Listener, Pool])
    def test_with_children_it_goes_only_with_them(self, child: type[Resource]) -> None:
        found = graph(make(child))
        with pytest.raises(errors.Invalid):
            consistency.check_delete(found, found.load_balancer)
        consistency.check_delete(found, found.load_balancer, cascade=True)

    def test_children_on_their_way_out_do_not_hold_it(self) -> None:
        found = graph(make(Listener, provisioning_status=LEAVING), make(Pool, provisioning_status=LEAVING))
        consistency.check_delete(found, found.load_balancer)


class TestListener:
    @pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
    def test_a_port_is_taken_once_whatever_is_spoken(self, protocol: str) -> None:
        taken = make(Listener, id="first", protocol="TCP")
        facts = refuse(errors.Duplicate, make(Listener, id="new", protocol=protocol), taken)
        assert facts == {"what": "listener", "protocol": "TCP", "protocol_port": 80}

    def test_its_own_older_self_and_listeners_on_their_way_out_take_no_port(self) -> None:
        accept(
            make(Listener, id="new"), make(Listener, id="new"), make(Listener, id="old", provisioning_status=LEAVING)
        )

    def test_another_port_is_free(self) -> None:
        accept(make(Listener, id="new", protocol_port=81), make(Listener, id="first"))

    @pytest.mark.parametrize(
        ("listener", "pool", "fits"),
        [("HTTP", "HTTP", True), ("TCP", "TCP", True), ("TCP", "HTTP", True), ("HTTP", "TCP", False)],
    )
    def test_which_pools_may_stand_behind_it(self, listener: str, pool: str, fits: bool) -> None:
        thing, behind = (
            make(Listener, protocol=listener, default_pool_id="behind"),
            make(Pool, id="behind", protocol=pool),
        )
        if fits:
            accept(thing, behind)
        else:
            assert f"'{pool}'" in str(refuse(errors.Invalid, thing, behind)["reason"])

    def test_its_default_pool_must_be_one_of_its_load_balancer(self) -> None:
        facts = refuse(errors.NotFound, make(Listener, default_pool_id="elsewhere"))
        assert facts == {"resource": "Pool", "id": "elsewhere"}

    def test_its_default_pool_must_stay(self) -> None:
        leaving = make(Pool, id="leaving", provisioning_status=LEAVING)
        assert refuse(errors.Immutable, make(Listener, default_pool_id="leaving"), leaving)["id"] == "leaving"

    @pytest.mark.parametrize(
        ("protocol", "headers", "value", "option"),
        [
            ("TCP", {"X-Forwarded-For": "true"}, "insert-headers", "a TCP protocol listener."),
            ("HTTP", {"X-Forwarded-For": "true", "x-forwarded-for": "true"}, ["x-forwarded-for"], "insert_headers"),
            ("HTTP", {"X-SSL-Issuer": "true"}, ["X-SSL-Issuer"], "HTTP protocol listener."),
        ],
    )
    def test_headers_that_it_cannot_insert(self, protocol: str, headers: Any, value: object, option: str) -> None:
        facts = refuse(errors.BadOption, make(Listener, protocol=protocol, insert_headers=headers))
        assert facts == {"value": value, "option": option}

    def test_headers_that_it_can_insert(self) -> None:
        names = ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto")
        accept(make(Listener, insert_headers=dict.fromkeys(names, "true")))

    @pytest.mark.parametrize(
        ("vip", "cidrs", "fits"),
        [
            ("198.18.0.5", ("0.0.0.0/0", "198.51.100.0/24"), True),
            ("198.18.0.5", ("198.51.100.0/24", "2001:db8::/32"), False),
            ("fd00:0:0:77::5", ("2001:db8::/32",), True),
            ("fd00:0:0:77::5", ("198.51.100.0/24",), False),
            (None, ("198.51.100.0/24",), True),
        ],
    )
    def test_networks_are_of_the_family_of_the_vip(self, vip: str | None, cidrs: tuple[str, ...], fits: bool) -> None:
        thing = make(Listener, allowed_cidrs=cidrs)
        if fits:
            accept(thing, vip_address=vip)
        else:
            refuse(errors.Invalid, thing, vip_address=vip)

    def test_no_networks_are_all_networks(self) -> None:
        completed = accept(make(Listener, allowed_cidrs=()))
        assert isinstance(completed, Listener)
        assert completed.allowed_cidrs is None
        assert consistency.merge(make(Listener, allowed_cidrs=("198.51.100.0/24",)), {"allowed_cidrs": ()}) == completed


PERSISTENCE = [
    ({"type": "SOURCE_IP"}, None),
    ({"type": "HTTP_COOKIE", "cookie_name": None}, None),
    ({"type": "APP_COOKIE", "cookie_name": "sid"}, None),
    ({"type": "APP_COOKIE"}, errors.Invalid),
    ({"type": "HTTP_COOKIE", "cookie_name": "sid"}, errors.Invalid),
    ({"type": "SOURCE_IP", "cookie_name": "sid"}, errors.Invalid),
    ({"type": "SOURCE_IP", "persistence_timeout": 5}, errors.Invalid),
    ({"type": "SOURCE_IP", "persistence_granularity": "255.255.255.0"}, errors.Invalid),
    ({"cookie_name": "sid"}, errors.BadValue),
    ({"type": None}, errors.BadValue),
    ({}, errors.BadValue),
]


class TestPool:
    @pytest.mark.parametrize(("given", "error"), PERSISTENCE)
    def test_session_persistence_of_a_new_pool(self, given: Any, error: type[errors.Refused] | None) -> None:
        thing = make(Pool, session_persistence=given)
        if error:
            refuse(error, thing)
        else:
            completed = accept(thing)
            assert isinstance(completed, Pool)
            assert completed.session_persistence == SessionPersistence(**given)

    @pytest.mark.parametrize(
        ("old", "given", "new"),
        [
            (("APP_COOKIE", "a"), {"cookie_name": "b"}, ("APP_COOKIE", "b")),
            (("APP_COOKIE", "a"), {"type": "SOURCE_IP"}, ("SOURCE_IP", None)),
            (("APP_COOKIE", "a"), {}, ("APP_COOKIE", "a")),
            (("APP_COOKIE", "a"), None, None),
            (("SOURCE_IP", None), {"type": "APP_COOKIE", "cookie_name": "b"}, ("APP_COOKIE", "b")),
            (None, {"type": "HTTP_COOKIE"}, ("HTTP_COOKIE", None)),
            (None, {}, None),
        ],
    )
    def test_session_persistence_of_an_updated_pool(self, old: Any, given: Any, new: Any) -> None:
        pool = make(Pool, session_persistence=SessionPersistence(*old) if old else None)
        merged = consistency.merge(pool, {"session_persistence": given, "name": "n"})
        assert merged == make(Pool, session_persistence=SessionPersistence(*new) if new else None, name="n")

    @pytest.mark.parametrize(
        ("given", "error"), [({"cookie_name": "a"}, errors.Invalid), ({"type": None}, errors.BadValue)]
    )
    def test_a_session_persistence_of_no_type(self, given: Any, error: type[errors.Refused]) -> None:
        with pytest.raises(error):
            consistency.merge(make(Pool), {"session_persistence": given})

    def test_a_type_with_a_cookie_asks_for_its_name_again(self) -> None:
        pool = make(Pool, session_persistence=SessionPersistence("APP_COOKIE", "a"))
        merged = consistency.merge(pool, {"session_persistence": {"type": "APP_COOKIE"}})
        with pytest.raises(errors.Invalid):
            consistency.check(graph(pool), merged)

    def test_attaching_to_a_listener(self) -> None:
        new = make(Pool, id="new")
        found = graph(make(Listener), make(Listener, id="tcp", protocol="TCP"), make(Pool), new)
        consistency.check_attach(found, new, "listener")
        consistency.check_attach(found, new, "tcp")
        with pytest.raises(errors.NotFound):
            consistency.check_attach(found, new, "nowhere")
        with pytest.raises(errors.Invalid):
            consistency.check_attach(found, make(Pool, id="new", protocol="TCP"), "listener")
        found.listeners["listener"].default_pool_id = "new"
        consistency.check_attach(found, new, "listener")
        found.listeners["listener"].default_pool_id = "pool"
        with pytest.raises(errors.Duplicate) as caught:
            consistency.check_attach(found, new, "listener")
        assert caught.value.facts["what"] == "default_pool"
        found.pools["pool"].provisioning_status = LEAVING
        consistency.check_attach(found, new, "listener")

    def test_only_a_policy_that_stays_holds_it(self) -> None:
        policy = make(L7Policy, action="REDIRECT_TO_POOL", redirect_pool_id="pool")
        found = graph(make(Listener, default_pool_id="pool"), make(Pool), policy)
        with pytest.raises(errors.InUse) as caught:
            consistency.check_delete(found, found.pools["pool"])
        assert caught.value.facts == {"resource": "Pool", "id": "pool", "by": "L7 policy", "by_id": "policy"}
        found.listeners["listener"].provisioning_status = LEAVING
        consistency.check_delete(found, found.pools["pool"])
        found.listeners["listener"].provisioning_status = status.ACTIVE
        found.l7policies["policy"].provisioning_status = LEAVING
        consistency.check_delete(found, found.pools["pool"])

    def test_a_default_pool_may_go(self) -> None:
        found = graph(make(Listener, default_pool_id="pool"), make(Pool))
        consistency.check_delete(found, found.pools["pool"])


class TestMember:
    def test_address_and_port_are_unique_in_a_pool(self) -> None:
        facts = refuse(errors.Duplicate, make(Member, id="new"), make(Member))
        assert facts == {"what": "member", "address": "198.18.0.20", "protocol_port": 8080}

    @pytest.mark.parametrize(
        "values",
        [{"protocol_port": 8081}, {"address": "198.18.0.21"}, {"pool_id": "other"}, {"id": "member"}],
    )
    def test_what_differs_is_no_duplicate(self, values: Any) -> None:
        accept(make(Member, **{"id": "new", **values}), make(Member), make(Pool, id="other"))

    def test_one_on_its_way_out_may_be_followed_by_the_same(self) -> None:
        accept(make(Member, id="new"), make(Member, provisioning_status=LEAVING))

    @pytest.mark.parametrize(
        "address",
        ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1"],
    )
    @pytest.mark.parametrize("attribute", ["address", "monitor_address"])
    def test_addresses_that_no_member_may_have(self, attribute: str, address: str) -> None:
        assert refuse(errors.BadOption, make(Member, **{attribute: address}))["value"] == address

    def test_its_pool_must_be_there(self) -> None:
        assert refuse(errors.NotFound, make(Member, pool_id="nowhere"))["resource"] == "Pool"

    @pytest.mark.parametrize(
        ("monitors", "expected"),
        [
            ((), "NO_MONITOR"),
            (("other",), "NO_MONITOR"),
            (("pool",), "OFFLINE"),
        ],
    )
    def test_first_status(self, monitors: tuple[str, ...], expected: str) -> None:
        found = tree(*(make(HealthMonitor, pool_id=pool_id) for pool_id in monitors))
        assert consistency.complete(found, make(Member)).operating_status == expected

    def test_a_monitor_on_its_way_out_is_none(self) -> None:
        found = tree(make(HealthMonitor, provisioning_status=LEAVING))
        assert consistency.complete(found, make(Member)).operating_status == "NO_MONITOR"

    def test_a_known_member_keeps_its_status(self) -> None:
        found = tree(make(Member, operating_status="ERROR"))
        assert consistency.complete(found, make(Member, operating_status="ERROR")).operating_status == "ERROR"


class TestHealthMonitor:
    def test_http_has_defaults(self) -> None:
        completed = accept(make(HealthMonitor))
        assert isinstance(completed, HealthMonitor)
        assert (completed.http_method, completed.url_path, completed.expected_codes) == ("GET", "/", "200")

    def test_what_is_given_stands(self) -> None:
        given = {"http_method": "HEAD", "url_path": "/up", "expected_codes": "200-299"}
        completed = accept(make(HealthMonitor, **given))
        assert completed == make(HealthMonitor, **given)

    @pytest.mark.parametrize("type", ["TCP", "PING"])
    @pytest.mark.parametrize("field", ["http_method", "url_path", "expected_codes"])
    def test_other_types_take_nothing_of_http(self, type: str, field: str) -> None:
        plain = accept(make(HealthMonitor, type=type))
        assert isinstance(plain, HealthMonitor)
        assert (plain.http_method, plain.url_path, plain.expected_codes) == (None, None, None)
        expected = {"value": field, "option": f"health monitors of type {type}"}
        assert refuse(errors.BadOption, make(HealthMonitor, type=type, **{field: "x"})) == expected
        with pytest.raises(errors.BadOption) as caught:
            consistency.merge(plain, {field: None})
        assert caught.value.facts == expected

    def test_a_null_resets_what_belongs_to_http(self) -> None:
        old = make(HealthMonitor, http_method="HEAD", url_path="/up", expected_codes="204")
        merged = consistency.merge(old, {"http_method": None, "url_path": None, "expected_codes": None, "delay": 9})
        assert merged == make(HealthMonitor, http_method="GET", url_path="/", expected_codes="200", delay=9)

    @pytest.mark.parametrize("version", [None, 1.0])
    def test_a_domain_name_needs_http_1_1(self, version: float | None) -> None:
        refuse(errors.Invalid, make(HealthMonitor, domain_name="www.example.org", http_version=version))
        accept(make(HealthMonitor, domain_name="www.example.org", http_version=1.1))

    def test_a_pool_has_one(self) -> None:
        facts = refuse(errors.Duplicate, make(HealthMonitor, id="new"), make(HealthMonitor))
        assert facts["what"] == "healthmonitor"
        accept(make(HealthMonitor, id="new"), make(HealthMonitor, provisioning_status=LEAVING))
        accept(make(HealthMonitor, id="new"), make(HealthMonitor, pool_id="other"))


URL = "https://www.example.org/"


class TestL7Policy:
    @pytest.mark.parametrize(
        ("action", "kept"),
        [
            ("REJECT", set()),
            ("REDIRECT_TO_URL", {"redirect_url", "redirect_http_code"}),
            ("REDIRECT_PREFIX", {"redirect_prefix", "redirect_http_code"}),
        ],
    )
    def test_an_action_drops_what_it_does_not_use(self, action: str, kept: set[str]) -> None:
        arguments = {
            "redirect_pool_id": "pool", "redirect_url": URL, "redirect_prefix": URL, "redirect_http_code": 307,
        }  # fmt: skip
        completed = accept(make(L7Policy, action=action, **arguments))
        assert {name for name in arguments if getattr(completed, name) is not None} == kept

    def test_a_redirect_to_a_pool_drops_the_url_and_refuses_the_prefix(self) -> None:
        completed = accept(
            make(L7Policy, action="REDIRECT_TO_POOL", redirect_pool_id="pool", redirect_url=URL, redirect_http_code=301)
        )
        assert completed == make(L7Policy, action="REDIRECT_TO_POOL", redirect_pool_id="pool")
        both = make(L7Policy, action="REDIRECT_TO_POOL", redirect_pool_id="pool", redirect_prefix=URL)
        assert "at the same time" in str(refuse(errors.BadPolicy, both)["reason"])

    @pytest.mark.parametrize(
        ("action", "argument"), [("REDIRECT_TO_URL", "redirect_url"), ("REDIRECT_PREFIX", "redirect_prefix")]
    )
    def test_a_redirect_has_a_code(self, action: str, argument: str) -> None:
        completed = accept(make(L7Policy, action=action, **{argument: URL}))
        assert isinstance(completed, L7Policy)
        assert completed.redirect_http_code == 302
        assert consistency.merge(completed, {"redirect_http_code": 308}).redirect_http_code == 308
        assert consistency.merge(completed, {"redirect_http_code": None}).redirect_http_code == 302

    @pytest.mark.parametrize(
        ("action", "argument"),
        [
            ("REDIRECT_TO_POOL", "redirect_pool_id"),
            ("REDIRECT_TO_URL", "redirect_url"),
            ("REDIRECT_PREFIX", "redirect_prefix"),
        ],
    )
    def test_an_action_needs_its_argument(self, action: str, argument: str) -> None:
        assert refuse(errors.BadPolicy, make(L7Policy, action=action))["reason"] == f"{argument} must not be None"

    @pytest.mark.parametrize(
        ("old", "changes", "expected"),
        [
            ({}, {"redirect_url": URL}, {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 302}),
            (
                {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 301},
                {"redirect_prefix": URL},
                {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_http_code": 301},
            ),
            (
                {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_http_code": 301},
                {"redirect_pool_id": "pool"},
                {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"},
            ),
            (
                {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_http_code": 301},
                {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"},
                {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"},
            ),
            ({"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"}, {"action": "REJECT"}, {"action": "REJECT"}),
            ({}, {"name": "n"}, {"name": "n"}),
            (
                {},
                {"redirect_pool_id": "pool", "redirect_url": None},
                {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"},
            ),
            (
                {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"},
                {"redirect_pool_id": "second"},
                {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "second"},
            ),
            (
                {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 301},
                {"action": "REDIRECT_TO_URL", "position": 2},
                {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 301, "position": 2},
            ),
        ],
    )  # fmt: skip
    def test_an_update_may_switch_the_action(self, old: Any, changes: Any, expected: Any) -> None:
        merged = consistency.merge(make(L7Policy, **old), changes)
        assert merged == make(L7Policy, **expected)
        consistency.check(tree(make(Pool, id="second")), merged)

    @pytest.mark.parametrize(
        "changes",
        [
            {"redirect_pool_id": "pool", "redirect_url": URL},
            {"redirect_pool_id": "pool", "redirect_prefix": URL},
            {"redirect_url": URL, "redirect_prefix": URL},
        ],
    )
    def test_updates_that_say_two_things(self, changes: Any) -> None:
        with pytest.raises(errors.BadPolicy):
            consistency.merge(make(L7Policy), changes)

    def test_switching_without_the_argument_is_refused(self) -> None:
        old = make(L7Policy, action="REDIRECT_PREFIX", redirect_prefix=URL, redirect_http_code=301)
        with pytest.raises(errors.BadPolicy):
            consistency.check(tree(), consistency.merge(old, {"action": "REDIRECT_TO_URL"}))

    def test_its_pool_must_be_known_and_fit(self) -> None:
        policy = make(L7Policy, action="REDIRECT_TO_POOL", redirect_pool_id="other")
        assert refuse(errors.NotFound, policy) == {"resource": "Pool", "id": "other"}
        refuse(errors.Invalid, policy, make(Pool, id="other", protocol="TCP"))
        refuse(errors.Immutable, policy, make(Pool, id="other", provisioning_status=LEAVING))
        accept(policy, make(Pool, id="other"))

    def test_its_listener_must_be_known_and_take_policies(self) -> None:
        assert refuse(errors.NotFound, make(L7Policy, listener_id="nowhere"))["resource"] == "Listener"
        figures = make(Listener, id="figures", protocol="PROMETHEUS")
        assert refuse(errors.NoChildren, make(L7Policy, listener_id="figures"), figures)["protocol"] == "PROMETHEUS"
        accept(make(L7Policy, listener_id="tcp"), make(Listener, id="tcp", protocol="TCP"))


class TestL7Rule:
    @pytest.mark.parametrize("type", ["HOST_NAME", "PATH", "HEADER", "COOKIE", "FILE_TYPE"])
    @pytest.mark.parametrize("compare", ["REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO"])
    def test_comparisons(self, type: str, compare: str) -> None:
        rule = make(L7Rule, type=type, compare_type=compare, key="name", value="x")
        if type == "FILE_TYPE" and compare not in ("REGEX", "EQUAL_TO"):
            refuse(errors.BadRule, rule)
        else:
            accept(rule)

    @pytest.mark.parametrize("type", ["HEADER", "COOKIE"])
    @pytest.mark.parametrize("key", [None, "", "with space", "with:colon", 'with"quote', "a,b", "é", "name\n"])
    def test_keys_that_are_no_tokens(self, type: str, key: str | None) -> None:
        refuse(errors.BadRule, make(L7Rule, type=type, key=key))

    def test_a_key_without_meaning_is_dropped_by_an_update(self) -> None:
        assert consistency.merge(make(L7Rule, key="name"), {"value": "/x"}) == make(L7Rule, value="/x")
        kept = make(L7Rule, type="HEADER", key="name")
        assert consistency.merge(kept, {"value": "/x"}).key == "name"
        assert consistency.merge(kept, {"type": "PATH"}).key is None

    @pytest.mark.parametrize("type", ["HOST_NAME", "PATH", "HEADER", "FILE_TYPE"])
    @pytest.mark.parametrize(
        ("value", "good"),
        [
            ("plain", True), ('"two words\tand a tab"', True), ('""', True), ("#$%'{}\\;", True), ('a"b', True),
            ("two words", False), ("tab\t", False), ("é", False), ("\x7f", False), ('"é"', False), ("a\n", False),
        ],
    )  # fmt: skip
    def test_values_of_headers(self, type: str, value: str, good: bool) -> None:
        rule = make(L7Rule, type=type, compare_type="EQUAL_TO", key="name", value=value)
        accept(rule) if good else refuse(errors.BadRule, rule)

    @pytest.mark.parametrize(
        ("value", "good"),
        [("plain", True), ("#$%'{}:=,", True), ('"quoted"', False), ("a;b", False), ("a\\b", False), ("a b", False)],
    )
    def test_values_of_cookies(self, value: str, good: bool) -> None:
        rule = make(L7Rule, type="COOKIE", key="name", value=value)
        accept(rule) if good else refuse(errors.BadRule, rule)

    def test_a_policy_has_fifty_at_most(self) -> None:
        fifty = [make(L7Rule, id=f"rule-{number}") for number in range(50)]
        for rule in fifty:
            consistency.check(tree(*fifty), rule)
        assert refuse(errors.TooMany, make(L7Rule, id="new"), *fifty) == {"id": "policy"}
        accept(make(L7Rule, id="new", l7policy_id="other"), make(L7Policy, id="other"), *fifty)
        fifty[0].provisioning_status = LEAVING
        accept(make(L7Rule, id="new"), *fifty)

    def test_its_policy_must_be_there(self) -> None:
        assert refuse(errors.NotFound, make(L7Rule, l7policy_id="nowhere"))["resource"] == "L7 Policy"


@pytest.mark.parametrize("cls", RESOURCES.values(), ids=RESOURCES)
def test_a_graph_of_the_kinds_needed_is_enough(cls: type[Resource]) -> None:
    """Whatever else is in the graph, the answer is the same without it."""
    whole = graph(
        make(Listener), make(Listener, id="taken", protocol_port=81), make(Pool), make(Pool, id="used"), make(Member),
        make(HealthMonitor), make(L7Policy), make(L7Rule),
        make(L7Policy, id="user", action="REDIRECT_TO_POOL", redirect_pool_id="used"),
    )  # fmt: skip
    partial = msgspec.structs.replace(whole)
    for other in RESOURCES.values():
        if other is not LoadBalancer and other.kind.name not in consistency.kinds_needed(cls.kind.name):
            setattr(partial, other.kind.plural, {})

    def outcome(found: LoadBalancerGraph, thing: Resource) -> tuple[object, ...]:
        answers: list[object] = []
        for attempt in (
            lambda: consistency.complete(found, thing),
            lambda: consistency.check(found, thing),
            lambda: consistency.check_delete(found, thing),
        ):
            try:
                answers.append(attempt())
            except errors.Refused as error:
                answers.append((type(error), error.facts))
        return tuple(answers)

    variants: list[dict[str, Any]] = [{}, {"id": "new"}, {"id": "used"}]
    if cls is Listener:
        variants += [{"default_pool_id": "pool"}, {"protocol_port": 81}]
    if cls is L7Policy:
        variants += [{"action": "REDIRECT_TO_POOL", "redirect_pool_id": "pool"}]
    for values in variants:
        thing = make(cls, **values)
        assert outcome(partial, thing) == outcome(whole, thing)
