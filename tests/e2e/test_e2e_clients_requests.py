# SPDX-License-Identifier: Apache-2.0
"""Requests as clients send them that no Python package brings here: gophercloud, Terraform, Heat, Kubernetes."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from openstack import exceptions
from support.cloud import Cloud

LAYOUT = "%Y-%m-%dT%H:%M:%S"


@pytest.fixture(params=["", "/load-balancer"])
def go(request: pytest.FixtureRequest, cloud: Cloud) -> Iterator[httpx.Client]:
    """A client that sends what gophercloud does: versions at the root, everything else below v2.0/."""
    headers = {"User-Agent": "gophercloud/v2.0.0", "X-Auth-Token": cloud.token}
    with httpx.Client(base_url=cloud.url + request.param, headers=headers, trust_env=False) as client:
        yield client


def _moment(text: str) -> datetime:
    return datetime.strptime(text.partition(".")[0], LAYOUT)


def test_versions_are_read_before_anything_else(go: httpx.Client) -> None:
    found = go.get("/").json()["versions"]
    assert {f"v2.{minor}" for minor in range(31)} == {each["id"] for each in found}
    assert [each["id"] for each in found if each["status"] == "CURRENT"] == ["v2.30"]
    for each in found:
        assert datetime.fromisoformat(each["updated"])
        links = {link["rel"]: link["href"] for link in each["links"]}
        assert links["self"].rstrip("/") == f"{str(go.base_url).rstrip('/')}/v2"


def test_an_empty_accept_header_takes_anything(go: httpx.Client) -> None:
    for accept in ("", "*/*", "application/json", "text/html, */*;q=0.1"):
        answer = go.get("/v2.0/lbaas/loadbalancers", headers={"Accept": accept})
        assert (answer.status_code, answer.json()) == (200, {"loadbalancers": [], "loadbalancers_links": []})


KUBERNETES = "kube_service_prod_default_web"


def _service(cloud: Cloud) -> dict[str, Any]:
    """What the cloud controller asks for, for a service with two ports."""
    ports = (80, 443)
    listeners = [
        {
            "name": f"listener_{at}_{KUBERNETES}", "protocol": "TCP", "protocol_port": port, "connection_limit": -1,
            "allowed_cidrs": ["198.18.0.0/16"], "tags": [KUBERNETES], "timeout_client_data": 50000,
            "default_pool": {
                "name": f"pool_{at}_{KUBERNETES}", "protocol": "PROXY", "lb_algorithm": "ROUND_ROBIN",
                "healthmonitor": {"name": f"monitor_{at}_{KUBERNETES}", "type": "TCP", "delay": 5, "timeout": 3,
                                  "max_retries": 1, "max_retries_down": 3},
                "members": [{"name": f"node{node}", "address": cloud.address(node), "protocol_port": 30000 + port,
                             "subnet_id": cloud.subnet_id} for node in (1, 2)],
            },
        }
        for at, port in enumerate(ports)
    ]  # fmt: skip
    return {"name": KUBERNETES, "description": "Kubernetes external service default/web", "vip_subnet_id": cloud.subnet_id,
            "provider": "octavia", "tags": [KUBERNETES], "listeners": listeners}  # fmt: skip


def test_a_whole_service_by_one_request_is_kept_up_to_date_and_goes(go: httpx.Client, cloud: Cloud) -> None:
    made = go.post("/v2.0/lbaas/loadbalancers", json={"loadbalancer": _service(cloud)})
    assert made.status_code == 201
    balancer = made.json()["loadbalancer"]
    assert [[member["name"] for member in each["members"]] for each in balancer["pools"]] == [["node1", "node2"]] * 2
    assert {each["default_pool_id"] for each in balancer["listeners"]} == {each["id"] for each in balancer["pools"]}
    assert _moment(balancer["created_at"])
    shown = go.get(f"/v2.0/lbaas/loadbalancers/{balancer['id']}").json()["loadbalancer"]
    assert [set(each) for each in shown["listeners"] + shown["pools"]] == [{"id"}] * 4
    assert [each["name"] for each in go.get(f"/v2.0/lbaas/loadbalancers?name={KUBERNETES}").json()["loadbalancers"]] == [
        KUBERNETES]  # fmt: skip
    pools = go.get(f"/v2.0/lbaas/pools?loadbalancer_id={balancer['id']}").json()["pools"]
    assert {each["name"] for each in pools} == {f"pool_{at}_{KUBERNETES}" for at in (0, 1)}
    status = go.get(f"/v2.0/lbaas/loadbalancers/{balancer['id']}/status").json()["statuses"]["loadbalancer"]
    assert len(status["listeners"]) == 2

    members = f"/v2.0/lbaas/pools/{pools[0]['id']}/members"
    wanted = [{"name": f"node{node}", "address": cloud.address(node), "protocol_port": 30080} for node in (2, 3)]
    batch = go.put(members, json={"members": wanted})
    assert (batch.status_code, batch.content) == (202, b"")
    assert {each["name"] for each in go.get(members).json()["members"]} == {"node2", "node3"}
    more = go.put(f"{members}?additive_only=true", json={"members": [{**wanted[0], "weight": 5}]})
    assert (more.status_code, more.content) == (202, b"")
    assert {each["name"]: each["weight"] for each in go.get(members).json()["members"]} == {"node2": 5, "node3": 1}

    gone = go.delete(f"/v2.0/lbaas/loadbalancers/{balancer['id']}?cascade=true")
    assert (gone.status_code, gone.content) == (204, b"")
    assert go.delete(f"/v2.0/lbaas/loadbalancers/{balancer['id']}").status_code == 404
    assert cloud.list("listeners") == cloud.list("pools") == cloud.list("healthmonitors") == []


def test_timestamps_have_no_zone(go: httpx.Client, balancer: dict[str, Any]) -> None:
    assert (balancer["updated_at"], _moment(balancer["created_at"]) <= datetime.now()) == (None, True)
    changed = go.put(f"/v2.0/lbaas/loadbalancers/{balancer['id']}", json={"loadbalancer": {"name": "x"}})
    assert _moment(changed.json()["loadbalancer"]["updated_at"]) >= _moment(balancer["created_at"])


def test_quotas_are_accepted_with_their_values(go: httpx.Client, cloud: Cloud) -> None:
    path = f"/v2.0/lbaas/quotas/{cloud.other_project_id}"
    answer = go.put(path, json={"quota": {"loadbalancer": 5, "l7policy": 6}})
    assert answer.status_code == 202
    assert {name: answer.json()["quota"][name] for name in ("loadbalancer", "load_balancer", "l7policy", "pool")} == {
        "loadbalancer": 5, "load_balancer": 5, "l7policy": 6, "pool": -1}  # fmt: skip
    gone = go.delete(path)
    assert (gone.status_code, gone.content) == (202, b"")


def test_what_is_not_there_is_not_found_and_never_a_bad_request(go: httpx.Client) -> None:
    for collection in ("loadbalancers", "listeners", "pools", "healthmonitors", "l7policies", "flavors"):
        for id in ("name-of-something", "00000000-0000-4000-8000-000000000000", "%20", "a" * 300):
            answer = go.get(f"/v2.0/lbaas/{collection}/{id}")
            assert answer.status_code == 404, (collection, id, answer.text)
            assert "not found" in answer.json()["faultstring"]


def test_failovers_have_no_body(go: httpx.Client, cloud: Cloud, balancer: dict[str, Any]) -> None:
    (old,) = go.get(f"/v2.0/octavia/amphorae?loadbalancer_id={balancer['id']}").json()["amphorae"]
    for path in (f"octavia/amphorae/{old['id']}/failover", f"lbaas/loadbalancers/{balancer['id']}/failover"):
        answer = go.put(f"/v2.0/{path}")
        assert (answer.status_code, answer.content) == (202, b"")
    assert cloud.amphorae(balancer["id"]).isdisjoint({old["id"]})


def test_a_conflict_is_told_as_one_and_ends(cloud: Cloud, balancer: dict[str, Any]) -> None:
    cloud.in_state("PENDING_DELETE", balancer["id"])
    with cloud.sdk() as connection:
        use = connection.load_balancer
        with pytest.raises(exceptions.ConflictException, match="Invalid state PENDING_DELETE"):
            use.update_load_balancer(balancer["id"], name="x")
        with pytest.raises(exceptions.ConflictException, match="immutable"):
            use.create_pool(loadbalancer_id=balancer["id"], protocol="TCP", lb_algorithm="ROUND_ROBIN")
        cloud.in_state("ACTIVE", balancer["id"])
        assert use.update_load_balancer(balancer["id"], name="x").name == "x"
