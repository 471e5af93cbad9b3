# SPDX-License-Identifier: Apache-2.0
"""What an explicit null does, attribute by attribute, when an object is created and when it is updated."""

from typing import Any

import pytest

from ottava.api import forms
from ottava.model.graph import RESOURCES
from ottava.rules.deployment import Tls

REFUSED = 400
KEPT = object()
CIPHERS, VERSIONS, ALPN = Tls().ciphers, list(Tls().versions), list(Tls().alpn)
COMMON = {"name": "", "admin_state_up": False, "project_id": "local", "tenant_id": "local", "tags": []}
ABOUT = {"description": ""}

CREATED: dict[str, dict[str, Any]] = {
    "loadbalancer": COMMON | ABOUT | {
        "vip_network_id": KEPT, "vip_subnet_id": REFUSED, "vip_port_id": KEPT, "vip_address": KEPT,
        "vip_qos_policy_id": None, "vip_sg_ids": [], "additional_vips": [], "provider": "noop_driver", "flavor_id": None,
        "availability_zone": None,
    },
    "listener": COMMON | ABOUT | {
        "loadbalancer_id": 404, "protocol": REFUSED, "protocol_port": REFUSED, "connection_limit": None,
        "default_pool_id": None, "insert_headers": {}, "default_tls_container_ref": REFUSED, "sni_container_refs": [],
        "client_ca_tls_container_ref": None, "client_authentication": REFUSED, "client_crl_container_ref": None,
        "timeout_client_data": 50000, "timeout_member_connect": 5000, "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0, "allowed_cidrs": None, "tls_ciphers": CIPHERS, "tls_versions": VERSIONS,
        "alpn_protocols": ALPN, "hsts_max_age": None, "hsts_include_subdomains": False, "hsts_preload": False,
    },
    "pool": COMMON | ABOUT | {
        "loadbalancer_id": REFUSED, "listener_id": KEPT, "protocol": REFUSED, "lb_algorithm": REFUSED,
        "session_persistence": None, "tls_enabled": False, "tls_container_ref": None, "ca_tls_container_ref": None,
        "crl_container_ref": None, "tls_ciphers": None, "tls_versions": None, "alpn_protocols": None,
    },
    "member": COMMON | {
        "address": REFUSED, "protocol_port": REFUSED, "weight": 1, "backup": REFUSED, "subnet_id": None,
        "monitor_address": None, "monitor_port": None, "request_sriov": KEPT,
    },
    "healthmonitor": COMMON | {
        "pool_id": 404, "type": REFUSED, "delay": REFUSED, "timeout": REFUSED, "max_retries": REFUSED,
        "max_retries_down": REFUSED, "http_method": "GET", "url_path": "/", "expected_codes": "200", "http_version": None,
        "domain_name": None,
    },
    "l7policy": COMMON | ABOUT | {
        "listener_id": 404, "action": REFUSED, "redirect_pool_id": None, "redirect_url": None, "redirect_prefix": None,
        "redirect_http_code": None, "position": KEPT,
    },
    "rule": {name: value for name, value in COMMON.items() if name != "name"} | {
        "type": REFUSED, "compare_type": REFUSED, "key": None, "value": REFUSED, "invert": False,
    },
}  # fmt: skip
"""Attribute by attribute what is stored, or the status of the refusal."""

UPDATED: dict[str, dict[str, tuple[Any, Any]]] = {
    "loadbalancer": {"vip_sg_ids": ([], []), "vip_qos_policy_id": (None, None)},
    "listener": {
        "connection_limit": (7, -1), "default_pool_id": (None, None), "insert_headers": ({"X-Real-IP": "true"}, {}),
        "default_tls_container_ref": ("a", None), "sni_container_refs": (["a"], []),
        "client_ca_tls_container_ref": ("a", None), "client_crl_container_ref": (None, None),
        "client_authentication": ("NONE", REFUSED), "timeout_client_data": (1, 50000), "timeout_member_connect": (1, 5000),
        "timeout_member_data": (1, 50000), "timeout_tcp_inspect": (1, 0), "allowed_cidrs": (["198.51.100.0/24"], None),
        "tls_ciphers": ("A", CIPHERS), "tls_versions": (["TLSv1"], VERSIONS), "alpn_protocols": (["h2"], ALPN),
        "hsts_max_age": (5, None), "hsts_include_subdomains": (False, False), "hsts_preload": (False, False),
    },
    "pool": {
        "lb_algorithm": ("SOURCE_IP", REFUSED), "session_persistence": ({"type": "SOURCE_IP"}, None),
        "tls_enabled": (True, REFUSED), "tls_container_ref": ("a", None), "ca_tls_container_ref": ("a", None),
        "crl_container_ref": (None, None), "tls_ciphers": ("A", CIPHERS), "tls_versions": (["TLSv1"], VERSIONS),
        "alpn_protocols": (["h2"], None),
    },
    "member": {
        "weight": (7, 1), "backup": (True, False), "monitor_address": ("198.18.0.9", None), "monitor_port": (7, None),
    },
    "healthmonitor": {
        "delay": (7, REFUSED), "timeout": (7, REFUSED), "max_retries": (7, REFUSED), "max_retries_down": (7, 3),
        "http_method": ("HEAD", "GET"), "url_path": ("/a", "/"), "expected_codes": ("204", "200"),
        "http_version": (1.1, None), "domain_name": (None, None),
    },
    "l7policy": {
        "action": ("REJECT", REFUSED), "redirect_pool_id": (None, KEPT),
        "redirect_url": ("http://example.com/", KEPT), "redirect_prefix": ("http://example.com", KEPT),
        "redirect_http_code": (None, None), "position": (1, KEPT),
    },
    "rule": {
        "type": ("PATH", REFUSED), "compare_type": ("CONTAINS", REFUSED), "key": (None, None), "value": ("x", REFUSED),
        "invert": (True, False),
    },
}  # fmt: skip
"""Attribute by attribute a value that is set before, and what is there after the null, or the status of the refusal."""

ALSO: dict[str, tuple[Any, Any]] = {
    "name": ("n", ""), "description": ("d", ""), "admin_state_up": (True, False), "tags": (["t"], ["t"]),
}  # fmt: skip


class Nursery:
    """A load balancer with one of everything, and the body that makes one more of each kind."""

    def __init__(self, api: Any) -> None:
        self.api = api
        balancer = api.make("loadbalancers")["id"]
        self.port = 1000
        listener = api.make("listeners", loadbalancer_id=balancer, **self._listener())["id"]
        pool = api.make("pools", loadbalancer_id=balancer, protocol="HTTP", lb_algorithm="ROUND_ROBIN")["id"]
        policy = api.make("l7policies", listener_id=listener, action="REJECT")["id"]
        self.balancer, self.listener, self.pool, self.policy = balancer, listener, pool, policy

    def _listener(self) -> dict[str, Any]:
        self.port += 1
        return {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "ref", "protocol_port": self.port}

    def form(self, kind: str) -> tuple[str, dict[str, Any]]:
        """The collection, and a body that is taken."""
        self.port += 1
        match kind:
            case "loadbalancer":
                return "loadbalancers", {"vip_subnet_id": self.api.subnet_id}
            case "listener":
                return "listeners", {"loadbalancer_id": self.balancer, **self._listener()}
            case "pool":
                return "pools", {"loadbalancer_id": self.balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
            case "member":
                return f"pools/{self.pool}/members", {"address": "198.18.0.1", "protocol_port": self.port}
            case "healthmonitor":
                pool = self.api.make("pools", **self.form("pool")[1])["id"]
                return "healthmonitors", {"pool_id": pool, "type": "HTTP", "delay": 5, "timeout": 5, "max_retries": 1}
            case "l7policy":
                return "l7policies", {"listener_id": self.listener, "action": "REJECT"}
        return f"l7policies/{self.policy}/rules", {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}


@pytest.fixture(scope="module")
def nursery(accepting: Any) -> Nursery:
    return Nursery(accepting)


CREATIONS = [(kind, name) for kind, names in CREATED.items() for name in names]
UPDATES = [(kind, name) for kind, names in UPDATED.items() for name in (*names, *ALSO)]
UPDATES = [(kind, name) for kind, name in UPDATES if name in forms.update_form(RESOURCES[kind]).known]


@pytest.mark.parametrize(("kind", "name"), CREATIONS)
def test_a_null_on_creation(nursery: Nursery, kind: str, name: str) -> None:
    collection, body = nursery.form(kind)
    result = nursery.api("POST", collection, {kind: {**body, name: None}})
    expected = CREATED[kind][name]
    if expected in (REFUSED, 404):
        assert result.status_code == expected, result.text
        return
    assert result.status_code == 201, result.text
    if expected is not KEPT:
        assert result.json[kind][name] == expected


@pytest.mark.parametrize(("kind", "name"), UPDATES)
def test_a_null_on_update(nursery: Nursery, kind: str, name: str) -> None:
    collection, body = nursery.form(kind)
    id = nursery.api.make(collection, **body)["id"]
    value, expected = UPDATED[kind].get(name) or ALSO[name]
    before = nursery.api("PUT", f"{collection}/{id}", {kind: {name: value}}) if value is not None else None
    assert before is None or before.status_code == 200, before.text
    result = nursery.api("PUT", f"{collection}/{id}", {kind: {name: None}})
    if expected == REFUSED:
        assert result.status_code == REFUSED, result.text
        return
    assert result.status_code == 200, result.text
    stored = nursery.api("GET", f"{collection}/{id}").json[kind]
    assert stored[name] == (value if expected is KEPT else expected)


@pytest.mark.parametrize("kind", RESOURCES)
def test_the_tables_name_every_attribute(kind: str) -> None:
    created, updated = forms.create_form(RESOURCES[kind]), forms.update_form(RESOURCES[kind])
    assert set(CREATED[kind]) - {"tenant_id"} == set(created.known)
    assert set(UPDATED[kind]) | (ALSO.keys() & updated.known.keys()) == set(updated.known)
