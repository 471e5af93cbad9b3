# SPDX-License-Identifier: Apache-2.0
"""Requests at the same time: what must hold of each load balancer holds whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import falcon.testing


def at_once(api: Any, path: str, bodies: list[object]) -> list[int]:
    """The statuses of POSTs that are sent together."""
    import msgspec

    def post(body: object) -> int:
        client = falcon.testing.TestClient(api.app)
        encoded = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        return client.simulate_post(f"/v2/lbaas/{path}", body=encoded, headers=headers).status_code

    with ThreadPoolExecutor(len(bodies)) as pool:
        return sorted(pool.map(post, bodies))


def test_one_port_is_taken_once(api: Any) -> None:
    lb = api.make("loadbalancers")["id"]
    body = {"listener": {"loadbalancer_id": lb, "protocol": "TCP", "protocol_port": 80}}
    assert at_once(api, "listeners", [body] * 8) == [201] + [409] * 7


def test_one_address_is_taken_once(api: Any) -> None:
    body = {"loadbalancer": {"vip_subnet_id": api.subnet_id, "vip_address": "198.18.44.44"}}
    assert at_once(api, "loadbalancers", [body] * 6) == [201] + [409] * 5


def test_positions_have_no_gaps(api: Any) -> None:
    lb = api.make("loadbalancers")["id"]
    listener = api.make("listeners", loadbalancer_id=lb, protocol="HTTP", protocol_port=80)["id"]
    bodies: list[object] = [
        {"l7policy": {"listener_id": listener, "action": "REJECT", "position": position}}
        for position in (1, 2, 1, 9, 3, 1)
    ]
    assert at_once(api, "l7policies", bodies) == [201] * 6
    found = api("GET", f"l7policies?listener_id={listener}").json["l7policies"]
    assert sorted(each["position"] for each in found) == [1, 2, 3, 4, 5, 6]


def test_every_write_counts(api: Any) -> None:
    lb = api.make("loadbalancers")["id"]
    bodies: list[object] = [
        {"pool": {"loadbalancer_id": lb, "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}} for _ in range(8)
    ]
    assert at_once(api, "pools", bodies) == [201] * 8
    graph = api.graph(lb)
    assert graph.generation == 9
    assert sorted(pool.generation for pool in graph.pools.values()) == list(range(2, 10))


def test_one_name_is_taken_once(api: Any) -> None:
    profile = made(api, "flavorprofiles", {"name": "p", "provider_name": "ottava", "flavor_data": "{}"})
    body = {"flavor": {"name": "taken", "flavor_profile_id": profile}}
    assert at_once(api, "flavors", [body] * 4) == [201] + [409] * 3


def test_what_is_chosen_stays_on_offer(api: Any) -> None:
    profile = made(api, "flavorprofiles", {"name": "p", "provider_name": "ottava", "flavor_data": "{}"})
    for turn in range(4):
        flavor = made(api, "flavors", {"name": f"fleeting {turn}", "flavor_profile_id": profile})
        body = {"loadbalancer": {"vip_subnet_id": api.subnet_id, "flavor_id": flavor}}
        with ThreadPoolExecutor(2) as pool:
            created = pool.submit(at_once, api, "loadbalancers", [body] * 2)
            removed = pool.submit(falcon.testing.TestClient(api.app).simulate_delete, f"/v2/lbaas/flavors/{flavor}")
        users = len(api.ids(f"loadbalancers?flavor_id={flavor}"))
        assert created.result().count(201) == users
        assert removed.result().status_code == (409 if users else 204)


def made(api: Any, path: str, values: dict[str, str]) -> str:
    """The id of a new entry."""
    answer = api("POST", path, {path.removesuffix("s"): values})
    assert answer.status_code == 201, answer.text
    return str(answer.json[path.removesuffix("s")]["id"])
