# SPDX-License-Identifier: Apache-2.0
"""With a provider that carries nothing out: what is wished is so in the transaction that accepts it."""

from collections.abc import Callable
from typing import Any

import pytest

from ottava.store import engine as database
from ottava.store import work


@pytest.fixture
def idle(fresh: Callable[..., Any]) -> Any:
    """An API whose every provider does nothing, over the local network: what is taken there must be given back."""
    return fresh(noop=True)


def tree(api: Any) -> dict[str, Any]:
    """A load balancer with one of each, and two more policies."""
    return dict(api.make(
        "loadbalancers",
        listeners=[{
            "name": "l", "protocol": "HTTP", "protocol_port": 80,
            "default_pool": {
                "name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
                "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1},
            },
            "l7policies": [
                {"name": name, "action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}
                for name in "abc"
            ],
        }],
    ))  # fmt: skip


def at_rest(api: Any, lb: str) -> None:
    """Everything is ACTIVE as of the newest generation, and no worker has anything to do."""
    graph = api.graph(lb)
    assert {each.provisioning_status for each in graph.objects()} == {"ACTIVE"}
    assert graph.observed_generation == graph.generation
    assert len(graph.amphorae) == 1
    assert work.next_due(api.engine) is None


def test_everything_is_active_at_once(idle: Any) -> None:
    found = tree(idle)
    lb, listener, pool = found["id"], found["listeners"][0], found["pools"][0]
    policy = listener["l7policies"][0]
    for each in (found, listener, pool, policy, policy["rules"][0], pool["members"][0], pool["healthmonitor"]):
        assert each["provisioning_status"] == "ACTIVE"
        assert each["operating_status"] == "OFFLINE" or each in pool["members"]
    at_rest(idle, lb)
    paths = {
        f"loadbalancers/{lb}": "loadbalancer", f"listeners/{listener['id']}": "listener", f"pools/{pool['id']}": "pool",
        f"pools/{pool['id']}/members/{pool['members'][0]['id']}": "member",
        f"healthmonitors/{pool['healthmonitor']['id']}": "healthmonitor", f"l7policies/{policy['id']}": "l7policy",
        f"l7policies/{policy['id']}/rules/{policy['rules'][0]['id']}": "rule",
    }  # fmt: skip
    for path, kind in paths.items():
        answer = idle("PUT", path, {kind: {"admin_state_up": False}})
        assert answer.json[kind]["provisioning_status"] == "ACTIVE"
        assert idle("GET", path).json[kind]["admin_state_up"] is False
        at_rest(idle, lb)
    made = idle.make(f"pools/{pool['id']}/members", address="198.18.0.2", protocol_port=80)
    assert made["provisioning_status"] == "ACTIVE"
    members = [
        {"address": "198.18.0.2", "protocol_port": 80, "weight": 3},
        {"address": "198.18.0.3", "protocol_port": 80},
    ]
    assert idle("PUT", f"pools/{pool['id']}/members", {"members": members}).status_code == 202
    left = idle("GET", f"pools/{pool['id']}/members").json["members"]
    assert [(each["address"], each["weight"]) for each in left] == [("198.18.0.2", 3), ("198.18.0.3", 1)]
    at_rest(idle, lb)


def test_what_is_deleted_is_gone_at_once_with_what_hangs_on_it(idle: Any) -> None:
    found = tree(idle)
    lb, listener, pool = found["id"], found["listeners"][0], found["pools"][0]
    first = listener["l7policies"][0]["id"]
    assert idle("DELETE", f"l7policies/{first}").status_code == 204
    left = idle("GET", "l7policies?sort=position").json["l7policies"]
    assert [(each["name"], each["position"]) for each in left] == [("b", 1), ("c", 2)]
    assert idle("DELETE", f"pools/{pool['id']}").status_code == 204
    assert idle("GET", f"healthmonitors/{pool['healthmonitor']['id']}").status_code == 404
    assert idle("GET", f"listeners/{listener['id']}").json["listener"]["default_pool_id"] is None
    at_rest(idle, lb)
    assert idle("DELETE", f"loadbalancers/{lb}").status_code == 400
    assert idle("DELETE", f"loadbalancers/{lb}?cascade=true").status_code == 204
    assert idle("GET", f"loadbalancers/{lb}").status_code == 404
    assert not any(idle.everything().values())


def test_a_failover_puts_a_new_amphora_on_the_books(idle: Any) -> None:
    lb = tree(idle)["id"]
    before = set(idle.graph(lb).amphorae)
    assert idle("PUT", f"loadbalancers/{lb}/failover").status_code == 202
    assert not before & set(idle.graph(lb).amphorae)
    at_rest(idle, lb)


def test_a_provider_is_idle_only_where_it_is_enabled(fresh: Callable[..., Any]) -> None:
    api = fresh(enabled_provider_drivers={"octavia": "", "noop_driver": ""}, default_provider_driver="octavia")
    assert api.make("loadbalancers", provider="noop_driver")["provisioning_status"] == "ACTIVE"
    assert work.next_due(api.engine) is None
    assert api.make("loadbalancers")["provisioning_status"] == "PENDING_CREATE"
    assert work.next_due(api.engine) is not None


def test_what_was_refused_before_heals(idle: Any) -> None:
    found = tree(idle)
    pool = found["pools"][0]
    with database.writing(idle.engine) as conn:
        conn.exec_driver_sql("UPDATE pool SET provisioning_status = 'ERROR', fault = 'once upon a time'")
    answer = idle("PUT", f"pools/{pool['id']}", {"pool": {"name": "healed"}}).json["pool"]
    assert (answer["provisioning_status"], answer.get("fault")) == ("ACTIVE", None)


def test_amphora_calls_work_on_what_is_on_the_books(idle: Any) -> None:
    lb = tree(idle)["id"]
    (found,) = idle("GET", f"/v2/octavia/amphorae?loadbalancer_id={lb}").json["amphorae"]
    assert (found["role"], found["status"], found["lb_network_ip"]) == ("STANDALONE", "ALLOCATED", None)
    path = f"/v2/octavia/amphorae/{found['id']}"
    assert idle("GET", path).json["amphora"]["loadbalancer_id"] == lb
    assert idle("PUT", f"{path}/config").status_code == 202
    assert idle("PUT", f"{path}/failover").status_code == 202
    assert idle("GET", path).status_code == 404
    at_rest(idle, lb)
