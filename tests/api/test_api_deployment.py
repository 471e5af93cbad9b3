# SPDX-License-Identifier: Apache-2.0
"""What operators allow and forbid by the options, and what a network service with more to offer takes."""

from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from ottava.api.app import create_app
from ottava.cloud.network.noop import NoopNetwork

NOOP = {"enabled_provider_drivers": {"noop_driver": "Nobody."}, "default_provider_driver": "noop_driver"}
GROUPS = ["5e34bd52-61b8-45b0-b56c-9aee3cd0b9e4", "0ecd8fc1-3cbd-4e6e-8b3c-3d0e9dca46c4"]
POLICY = "c3ad3b0a-1bd8-4a0c-ab23-4ab1ee0b80dc"


@pytest.fixture(scope="module")
def database_kind() -> str:
    """The database has no part in any of this."""
    return "sqlite"


def anywhere(api: Any) -> Any:
    """The same API with a network service for which everything exists."""
    api.client = falcon.testing.TestClient(create_app(api.conf, api.engine, NoopNetwork(), api.wakeup))
    return api


def terminating(api: Any, **values: object) -> Any:
    balancer = api.make("loadbalancers")["id"]
    listener = {"loadbalancer_id": balancer, "protocol": "TERMINATED_HTTPS", "protocol_port": 443}
    return api("POST", "listeners", {"listener": {**listener, "default_tls_container_ref": "a", **values}})


@pytest.mark.parametrize(
    ("option", "kind", "body"),
    [
        (
            "allow_tls_terminated_listeners",
            "listener",
            {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "a"},
        ),
        ("allow_prometheus_listeners", "listener", {"protocol": "PROMETHEUS"}),
        ("allow_ping_health_monitors", "healthmonitor", {"type": "PING"}),
    ],
)
def test_what_is_switched_off(fresh: Any, option: str, kind: str, body: dict[str, Any]) -> None:
    api = fresh(**NOOP, **{option: False})
    balancer = api.make("loadbalancers")["id"]
    pool = api.make("pools", loadbalancer_id=balancer, protocol="TCP", lb_algorithm="ROUND_ROBIN")["id"]
    more: dict[str, dict[str, Any]] = {
        "listener": {"loadbalancer_id": balancer, "protocol_port": 80},
        "healthmonitor": {"pool_id": pool, "delay": 5, "timeout": 5, "max_retries": 1},
    }
    result = api("POST", f"{kind}s", {kind: more[kind] | body})
    assert result.status_code == 400
    option_name, value = ("protocol", body.get("protocol")) if kind == "listener" else ("type", "PING")
    expected = f"The selected {option_name} is not allowed in this deployment: {value}"
    assert result.json["faultstring"] == expected
    inside = {"name": "p", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    tree = (
        {"listeners": [{"protocol_port": 80, **body}]}
        if kind == "listener"
        else {"pools": [inside | {"healthmonitor": {"delay": 5, "timeout": 5, "max_retries": 1} | body}]}
    )
    nested = api("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": api.subnet_id, **tree}})
    assert (nested.status_code, nested.json["faultstring"]) == (400, expected)


def test_tls_as_the_operator_has_it(fresh: Any) -> None:
    api = fresh(
        **NOOP,
        minimum_tls_version="TLSv1.2",
        tls_cipher_prohibit_list=["WEAK"],
        default_listener_ciphers="STRONG",
        default_listener_tls_versions=["TLSv1.1", "TLSv1.3"],
        default_listener_alpn_protocols=["h2"],
    )
    made = terminating(api).json["listener"]
    assert (made["tls_ciphers"], made["tls_versions"], made["alpn_protocols"]) == ("STRONG", ["TLSv1.3"], ["h2"])
    for values in ({"tls_versions": ["TLSv1.1"]}, {"tls_ciphers": "STRONG:WEAK"}):
        assert terminating(api, **values).status_code == 400
        assert api("PUT", f"listeners/{made['id']}", {"listener": values}).status_code == 400
    assert api("PUT", f"listeners/{made['id']}", {"listener": {"tls_versions": None}}).status_code == 200


@pytest.mark.parametrize(
    ("lines", "place", "fault"),
    [
        ("allow_vip_subnet_id = false", "subnet", "vip_subnet_id is disallowed"),
        ("allow_vip_port_id = false", "nothing", "VIP must contain one of: vip_network_id, vip_subnet_id."),
        ("denylist_vip_networks = $network", "subnet", "not allowed in network"),
        ("denylist_vip_networks = $network", "network", "not allowed in network"),
        ("denylist_vip_networks = $network", "other", None),
        ("valid_vip_networks = $network", "subnet", None),
        ("valid_vip_networks = $network", "other", "not allowed in network"),
    ],
)
def test_where_virtual_ips_may_be(fresh: Any, api: Any, lines: str, place: str, fault: str | None) -> None:
    limited = fresh(config=f"[network]\n{lines.replace('$network', api.network_id)}\n", **NOOP)
    body = {
        "subnet": {"vip_subnet_id": api.subnet_id},
        "network": {"vip_network_id": api.network_id},
        "other": {"vip_subnet_id": api.other_subnet_id},
        "nothing": {},
    }[place]
    before = limited.everything()
    result = limited("POST", "loadbalancers", {"loadbalancer": body})
    if fault is None:
        assert result.status_code == 201
        return
    assert result.status_code == 400
    assert fault in result.json["faultstring"]
    assert limited.everything() == before, "an address stays taken"


def test_security_groups_and_qos_where_the_network_has_them(fresh: Any) -> None:
    api = anywhere(fresh(**NOOP))
    made = api.make("loadbalancers", vip_sg_ids=[*GROUPS, GROUPS[0]], vip_qos_policy_id=POLICY)
    assert (made["vip_sg_ids"], made["vip_qos_policy_id"]) == (GROUPS, POLICY)
    at = f"loadbalancers/{made['id']}"
    listener = {
        "loadbalancer_id": made["id"],
        "protocol": "TCP",
        "protocol_port": 80,
        "allowed_cidrs": ["198.51.100.0/24"],
    }
    assert api("POST", "listeners", {"listener": listener}).status_code == 400
    changed = api("PUT", at, {"loadbalancer": {"vip_sg_ids": GROUPS[:1], "vip_qos_policy_id": None}}).json[
        "loadbalancer"
    ]
    assert (changed["vip_sg_ids"], changed["vip_qos_policy_id"]) == (GROUPS[:1], None)
    assert api("PUT", at, {"loadbalancer": {"name": "n"}}).json["loadbalancer"]["vip_sg_ids"] == GROUPS[:1]
    assert api("PUT", at, {"loadbalancer": {"vip_sg_ids": None}}).json["loadbalancer"]["vip_sg_ids"] == []
    assert api("POST", "listeners", {"listener": listener}).status_code == 201
    assert api("PUT", at, {"loadbalancer": {"vip_sg_ids": GROUPS}}).status_code == 400
    assert api("GET", f"loadbalancers?vip_qos_policy_id={POLICY}").json["loadbalancers"] == []


def test_security_groups_have_a_rule_of_their_own(fresh: Any, tmp_path: Path, user_file: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        '"os_load-balancer_api:loadbalancer:post:vip_sg_ids": "role:admin"\n'
        '"os_load-balancer_api:loadbalancer:put:vip_sg_ids": "role:admin"\n'
    )
    config = f"[oslo_policy]\npolicy_file = {policy}\n"
    api = anywhere(fresh(config=config, auth_strategy="http_basic", http_basic_auth_user_file=str(user_file), **NOOP))
    body = {"vip_subnet_id": api.subnet_id}
    assert (
        api("POST", "loadbalancers", {"loadbalancer": {**body, "vip_sg_ids": GROUPS}}, user="alice").status_code == 403
    )
    made = api.make("loadbalancers", "alice")
    for groups in (GROUPS, [], None):
        change = {"loadbalancer": {"vip_sg_ids": groups}}
        assert api("PUT", f"loadbalancers/{made['id']}", change, user="alice").status_code == 403
        assert api("PUT", f"loadbalancers/{made['id']}", change, user="root").status_code == 200
    assert api("PUT", f"loadbalancers/{made['id']}", {"loadbalancer": {"name": "n"}}, user="alice").status_code == 200
