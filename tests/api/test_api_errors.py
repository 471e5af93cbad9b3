# SPDX-License-Identifier: Apache-2.0
"""What clients are told: each kind of refusal with its status and its words to the letter, and which of several comes first."""

import re
from typing import Any

import pytest
from support.world import World

FAULT, ROUTING = "fault", "routing"
MISSING = "6dd1b2f8-1111-4111-8111-111111111111"
LISTENER = {"loadbalancer_id": "{loadbalancer_id}", "protocol": "HTTP", "protocol_port": 81}
POOL = {"loadbalancer_id": "{loadbalancer_id}", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MONITOR = {"pool_id": "{pool_id}", "type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3}
MEMBER = {"address": "198.18.0.9", "protocol_port": 80}
POLICY = {"listener_id": "{listener_id}", "action": "REJECT"}
RULE = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}


def listener(**more: Any) -> Any:
    return {"listener": {**LISTENER, **more}}


def invalid(field: str, value: object, reason: str) -> str:
    return f"Invalid input for field/attribute {field}. Value: '{value}'. {reason}"


SAID: list[tuple[str, str, Any, int, str]] = [  # method, path, body, status, faultstring
    # what is no body
    ("POST", "listeners", b"", 400, 'Missing argument: "listener_"'),
    ("POST", "loadbalancers", b"", 400, 'Missing argument: "load_balancer"'),
    ("PUT", "l7policies/{l7policy_id}/rules/{l7rule_id}", b"", 400, 'Missing argument: "l7rule_"'),
    ("PUT", "pools/{pool_id}/members", b"", 400, 'Missing argument: "members_"'),
    ("PUT", "quotas/{project_id}", b"", 400, 'Missing argument: "quotas"'),
    ("DELETE", "listeners", None, 400, 'Missing argument: "id"'),
    ("PUT", "listeners", {"listener": {}}, 400, 'Missing argument: "id"'),
    ("DELETE", "pools/{pool_id}/members", None, 400, 'Missing argument: "id"'),
    ("POST", "listeners", b"{", 400, "Request is not in valid JSON format"),
    ("POST", "listeners", b"\xef\xbb\xbf{}", 400, "Request is not in valid JSON format"),
    ("POST", "listeners", {}, 400, "Validation failure: No listener object supplied."),
    ("POST", "listeners", {"listener": None}, 400, "Validation failure: No listener object supplied."),
    # what nothing declares
    ("POST", "listeners", {"listner": {}}, 400, "Unknown attribute for argument listener_: listner"),
    ("POST", "listeners", listener(b=1, a=2), 400, "Unknown attribute for argument listener_.listener: a, b"),
    ("POST", "pools/{pool_id}/members", {"member": {"id": 1}}, 400, "Unknown attribute for argument member_.member: id"),
    ("PUT", "pools/{pool_id}/members", {"members": [{"x": 1}]}, 400, "Unknown attribute for argument members_.members: x"),
    ("POST", "l7policies/{l7policy_id}/rules", {"rule": {"x": 1}}, 400, "Unknown attribute for argument rule_.rule: x"),
    ("PUT", "l7policies/{l7policy_id}/rules/{l7rule_id}", {"rule": {"x": 1}}, 400, "Unknown attribute for argument l7rule_.rule: x"),
    ("PUT", "quotas/{project_id}", {"quota": {"x": 1}}, 400, "Unknown attribute for argument quotas.quota: x"),
    ("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": MISSING, "listeners": [{"x": 1, "protocol": "HTTP", "protocol_port": 1}]}},
     400, "Unknown attribute for argument load_balancer.loadbalancer.listeners: x"),
    # values, with each of the reasons
    ("POST", "listeners", listener(name="x" * 256), 400,
     invalid("name", "x" * 255 + "...", "Value should have a maximum character requirement of 255")),
    ("POST", "l7policies/{l7policy_id}/rules", {"rule": {**RULE, "value": ""}}, 400,
     invalid("value", "", "Value should have a minimum character requirement of 1")),
    ("POST", "listeners", listener(name=5), 400, invalid("name", 5, "Value should be string")),
    ("POST", "listeners", listener(default_pool_id="x"), 400, invalid("default_pool_id", "x", "Value should be UUID format")),
    ("POST", "pools/{pool_id}/members", {"member": {**MEMBER, "address": "x"}}, 400,
     invalid("address", "x", "Value should be IPv4 or IPv6 format")),
    ("POST", "listeners", listener(allowed_cidrs=["x"]), 400,
     invalid("allowed_cidrs", "['x']", "Value should be IPv4 or IPv6 CIDR format")),
    ("POST", "l7policies", {"l7policy": {**POLICY, "redirect_url": "x"}}, 400,
     invalid("redirect_url", "x", "Value must be a valid URL string")),
    ("POST", "healthmonitors", {"healthmonitor": {**MONITOR, "url_path": "x"}}, 400,
     invalid("url_path", "x", "Value must be a valid URL Path string")),
    ("POST", "pools", {"pool": {**POOL, "protocol": "GOPHER"}}, 400, invalid("protocol", "GOPHER", "Value should be one of: ...")),
    ("POST", "listeners", listener(protocol_port=0), 400, invalid("protocol_port", 0, "Value should be greater or equal to 1")),
    ("POST", "listeners", listener(protocol_port=65536), 400,
     invalid("protocol_port", 65536, "Value should be lower or equal to 65535")),
    ("POST", "listeners", listener(admin_state_up="Yes"), 400,
     invalid("listener_", "...", "Value not an unambiguous boolean: Yes")),
    ("POST", "listeners", listener(tags="x"), 400, invalid("listener_", "...", "Value not a valid list: x")),
    ("POST", "listeners", {"listener": {"protocol": "HTTP", "protocol_port": 1}}, 400,
     invalid("loadbalancer_id", None, "Mandatory field missing.")),
    ("PUT", "quotas/{project_id}", {"quota": {"pool": -2}}, 400, invalid("pool", -2, "Value should be greater or equal to -1")),
    # what does not fit together
    ("POST", "loadbalancers", {"loadbalancer": {}}, 400,
     "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."),
    ("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": MISSING}}, 400, f"Subnet {MISSING} not found."),
    ("POST", "loadbalancers", {"loadbalancer": {"vip_network_id": MISSING}}, 400, f"Network {MISSING} not found."),
    ("POST", "loadbalancers", {"loadbalancer": {"vip_port_id": MISSING}}, 400, f"Port {MISSING} not found."),
    ("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": MISSING, "provider": "f5"}}, 400, "Provider 'f5' is not enabled."),
    ("POST", "listeners", listener(protocol=None), 400, "None is not a valid option for protocol"),
    ("POST", "pools", {"pool": {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}, 400,
     "Validation failure: Must provide at least one of: loadbalancer_id, listener_id"),
    ("POST", "l7policies", {"l7policy": {**POLICY, "action": "REDIRECT_TO_URL"}}, 400, "Invalid L7 Policy arguments: ..."),
    ("PUT", "l7policies/{l7policy_id}", {"l7policy": {"action": None}}, 400, "Invalid L7 Policy action specified: None"),
    ("POST", "l7policies/{l7policy_id}/rules", {"rule": {**RULE, "compare_type": "REGEX", "value": "("}}, 400, "Error parsing L7Rule: ..."),
    ("DELETE", "loadbalancers/{loadbalancer_id}", None, 400, "Validation failure: ..."),
    ("DELETE", "loadbalancers/{loadbalancer_id}?cascade=banana", None, 400, "Validation failure: ..."),
    # what is not there
    ("GET", "loadbalancers/x", None, 404, "Load Balancer x not found."),
    ("GET", "listeners/x", None, 404, "Listener x not found."),
    ("GET", "pools/x", None, 404, "Pool x not found."),
    ("GET", "pools/{pool_id}/members/x", None, 404, "Member x not found."),
    ("GET", "healthmonitors/x", None, 404, "Health Monitor x not found."),
    ("GET", "l7policies/x", None, 404, "L7 Policy x not found."),
    ("GET", "l7policies/{l7policy_id}/rules/x", None, 404, "L7 Rule x not found."),
    ("DELETE", "quotas/nobody", None, 404, "Quotas nobody not found."),
    ("POST", "listeners", listener(loadbalancer_id=MISSING), 404, f"Load Balancer {MISSING} not found."),
    ("POST", "listeners", listener(loadbalancer_id=None), 404, "Load Balancer None not found."),
    ("POST", "l7policies", {"l7policy": {**POLICY, "listener_id": MISSING}}, 404, f"Listener {MISSING} not found."),
    ("POST", "healthmonitors", {"healthmonitor": {**MONITOR, "pool_id": MISSING}}, 404, f"Pool {MISSING} not found."),
    # what clashes
    ("POST", "listeners", listener(protocol_port=80), 409,
     "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"),
    ("POST", "pools/{pool_id}/members", {"member": {**MEMBER, "address": "198.18.0.1"}}, 409,
     "Another member on this pool is already using ip 198.18.0.1 on protocol_port 80"),
    ("POST", "healthmonitors", {"healthmonitor": MONITOR}, 409, "This pool already has a health monitor"),
    # lists
    ("GET", "listeners?bogus=1", None, 400, "One or more arguments are either duplicate or invalid"),
    ("GET", "listeners?sort=bogus", None, 400, "Supplied sort key 'bogus' is not valid."),
    ("GET", "listeners?marker=bogus", None, 400, "Supplied pagination marker 'bogus' is not valid."),
]  # fmt: skip

ROUTED: list[tuple[str, str, Any, int, str, str]] = [  # method, path, body, status, title, description
    ("GET", "bogus", None, 404, "Not Found", ""),
    ("GET", "/v3", None, 404, "Not Found", ""),
    ("PATCH", "listeners/{listener_id}", {}, 405, "Method Not Allowed", ""),
    ("POST", "listeners/{listener_id}", {}, 405, "Method Not Allowed", ""),
    ("GET", "pools/x/members", None, 404, "Bad Request", "Pool x not found."),
    ("POST", "l7policies/x/rules", {"rule": RULE}, 404, "Bad Request", "L7Policy x not found."),
    ("GET", "listeners?limit=x", None, 400, "Bad Request", "Supplied pagination limit 'x' is not valid."),
    ("GET", "listeners?sort=name:x", None, 400, "Bad Request", "Supplied sort direction 'x' is not valid."),
]

SEVERAL: list[tuple[str, str, Any, int, str]] = [  # what is wrong with more than one thing, by what is told first
    ("POST", "listeners", b'{"listener": {"bogus": 1}', 400, "Request is not in valid JSON format"),
    ("POST", "listeners", {"listener": {"bogus": 1, "protocol_port": 0}, "x": 1}, 400, "Unknown attribute for argument listener_: x"),
    ("POST", "listeners", listener(bogus=1, protocol_port=0), 400, "Unknown attribute for argument listener_.listener: bogus"),
    ("POST", "listeners", listener(loadbalancer_id=MISSING, protocol_port=0), 400,
     invalid("protocol_port", 0, "Value should be greater or equal to 1")),
    ("POST", "listeners", listener(loadbalancer_id=MISSING, insert_headers={"X": "true"}), 404, f"Load Balancer {MISSING} not found."),
    ("POST", "listeners", listener(protocol_port=80, insert_headers={"X": "true"}), 400, "['X'] is not a valid option for insert_headers"),
    ("GET", "listeners?marker=x&bogus=1", None, 400, "One or more arguments are either duplicate or invalid"),
]  # fmt: skip


@pytest.fixture(scope="module")
def database_kind() -> str:
    """One is enough: words are the same on each."""
    return "sqlite"


@pytest.fixture(scope="module")
def world(api: Any) -> World:
    return World(api)


def filled(value: Any, ids: dict[str, str]) -> Any:
    """`value` with each {name} in its texts replaced."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], value)
    if isinstance(value, dict):
        return {key: filled(each, ids) for key, each in value.items()}
    return [filled(each, ids) for each in value] if isinstance(value, list) else value


def is_said(found: str, expected: str) -> bool:
    """Whether the words are these, where "..." stands for any."""
    return (
        re.fullmatch(".*".join(re.escape(part) for part in expected.split("...")), found) is not None
        or found == expected
    )


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), SAID + SEVERAL)
def test_fault(api: Any, world: World, method: str, path: str, body: Any, status: int, words: str) -> None:
    before = api.everything()
    result = api(method, filled(path, world.ids), filled(body, world.ids))
    assert result.status_code == status, result.text
    assert is_said(result.json["faultstring"], words), result.json["faultstring"]
    assert result.json == {"faultcode": "Client", "faultstring": result.json["faultstring"], "debuginfo": None}
    assert result.headers["content-type"] == "application/json"
    assert api.everything() == before


@pytest.mark.parametrize(("method", "path", "body", "status", "title", "words"), ROUTED)
def test_routing_fault(
    api: Any, world: World, method: str, path: str, body: Any, status: int, title: str, words: str
) -> None:
    result = api(method, filled(path, world.ids), filled(body, world.ids))
    assert result.status_code == status, result.text
    assert result.json == {"code": status, "title": title, "description": words}
    assert result.headers["content-type"] == "application/json"


def test_media_types(api: Any) -> None:
    text = api("POST", "listeners", {"listener": {}}, headers={"Content-Type": "text/plain"})
    assert (text.status_code, text.json["faultstring"]) == (415, "Unknown mimetype: text/plain")
    form = api("POST", "listeners", b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (form.status_code, form.json["faultstring"]) == (400, 'Unknown argument: "a=b"')
    refused = api("GET", "listeners", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json["title"]) == (406, "Not Acceptable")
    assert api("GET", "listeners", headers={"Accept": ""}).status_code == 200
    assert (api("OPTIONS", "listeners").status_code, api("OPTIONS", "listeners").text) == (200, "")
    assert api("HEAD", "listeners").status_code == 405


def test_who_asks_comes_before_what_is_asked(secure: Any) -> None:
    for path, method, body in (("listeners", "POST", b"{"), ("bogus", "GET", None), ("pools/x/members", "GET", None)):
        result = secure(method, path, body)
        assert result.status_code == 401
        assert result.json["error"]["code"] == 401


def test_policy_comes_after_the_parent_and_before_what_makes_no_sense(secure: Any) -> None:
    balancer = secure.make("loadbalancers", "alice")
    missing = {"listener": {**LISTENER, "loadbalancer_id": MISSING, "insert_headers": {"X": "true"}}}
    assert (
        secure("POST", "listeners", missing, user="reader").json["faultstring"] == f"Load Balancer {MISSING} not found."
    )
    there = {"listener": {**missing["listener"], "loadbalancer_id": balancer["id"]}}
    result = secure("POST", "listeners", there, user="reader")
    assert (result.status_code, result.json["faultstring"]) == (
        403,
        "Policy does not allow this request to be performed.",
    )
    assert secure("POST", "listeners", there, user="alice").status_code == 400


def test_quota_comes_after_sense_and_before_state_and_clashes(secure: Any) -> None:
    balancer = secure.make("loadbalancers", "bob")
    body = {"listener": {**LISTENER, "loadbalancer_id": balancer["id"]}}
    assert secure("POST", "listeners", body, user="bob").status_code == 201
    assert secure("PUT", "quotas/p-two", {"quota": {"listener": 1}}, user="root").status_code == 202
    told = {"faultcode": "Client", "faultstring": "Quota has been met for resources: Listener", "debuginfo": None}
    clash = secure("POST", "listeners", body, user="bob")
    assert (clash.status_code, clash.json) == (403, told)
    taken = {"loadbalancer": {"vip_subnet_id": secure.subnet_id, "vip_address": balancer["vip_address"]}}
    assert secure("POST", "loadbalancers", taken, user="bob").status_code == 409
    assert secure("PUT", "quotas/p-two", {"quota": {"loadbalancer": 1}}, user="root").status_code == 202
    assert secure("POST", "loadbalancers", taken, user="bob").status_code == 403
    senseless = {"listener": {**body["listener"], "insert_headers": {"X": "true"}}}
    assert secure("POST", "listeners", senseless, user="bob").status_code == 400
    assert secure("DELETE", f"loadbalancers/{balancer['id']}?cascade=true", user="bob").status_code == 204
    assert secure("POST", "listeners", body, user="bob").json == told
    assert secure("PUT", "quotas/p-two", {"quota": {"listener": -1}}, user="root").status_code == 202
    result = secure("POST", "listeners", body, user="bob")
    assert (result.status_code, result.json["faultstring"]) == (
        409, f"Load Balancer {balancer['id']} is immutable and cannot be updated.",
    )  # fmt: skip
