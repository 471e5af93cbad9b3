# SPDX-License-Identifier: Apache-2.0
"""GET loadbalancers/{id}/events: what was accepted, by whom, newest first, and no more than are kept."""

from collections.abc import Callable
from typing import Any

from ottava.store import engine as database
from ottava.store import graphs


def told(api: Any, lb: str, query: str = "") -> list[dict[str, Any]]:
    """The events of a load balancer, as they are listed."""
    answer = api("GET", f"loadbalancers/{lb}/events{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json["events"])


def test_each_accepted_request_is_told_newest_first(api: Any) -> None:
    lb = api.make("loadbalancers", listeners=[{"name": "l", "protocol": "HTTP", "protocol_port": 80}])["id"]
    pool = api.make("pools", loadbalancer_id=lb, protocol="HTTP", lb_algorithm="ROUND_ROBIN")["id"]
    members = f"pools/{pool}/members"
    member = api.make(members, address="198.18.0.1", protocol_port=80)["id"]
    answer = api("PUT", f"{members}/{member}", {"member": {"weight": 7, "name": "m"}})
    batch = [{"address": f"198.18.0.{last}", "protocol_port": 80} for last in (2, 3)]
    assert api("PUT", members, {"members": batch}).status_code == 202
    assert api("PUT", f"pools/{pool}", {"pool": {"lb_algorithm": "NONSENSE"}}).status_code == 400
    assert api("DELETE", f"pools/{pool}").status_code == 204
    found = told(api, lb)
    assert [(each["resource_type"], each["resource_id"], each["message"]) for each in found] == [
        ("pool", pool, "delete pool"),
        ("pool", pool, "create 2 members, delete 1 members"),
        ("member", member, "update member: name, weight"),
        ("member", member, "create member"),
        ("pool", pool, "create pool"),
        ("loadbalancer", lb, "create load balancer with 1 listeners"),
    ]
    assert [each["generation"] for each in found] == [6, 5, 4, 3, 2, 1]
    assert {each["what"] for each in found} == {"accepted"}
    assert found[2]["request_id"] == answer.headers["x-openstack-request-id"]
    assert {each["user_id"] for each in found} == {"noauth"}


def test_pages_and_filters(api: Any) -> None:
    lb = api.make("loadbalancers")["id"]
    for number in range(5):
        api("PUT", f"loadbalancers/{lb}", {"loadbalancer": {"name": str(number)}})
    whole = [each["id"] for each in told(api, lb)]
    assert whole == sorted(whole, reverse=True)
    first = api("GET", f"loadbalancers/{lb}/events?limit=4").json
    assert [each["id"] for each in first["events"]] == whole[:4]
    (link,) = first["events_links"]
    assert link["rel"] == "next"
    second = api("GET", "/v2" + link["href"].partition("/v2")[2]).json
    assert [each["id"] for each in second["events"]] == whole[4:]
    assert [each["generation"] for each in told(api, lb, "?generation=3")] == [3]
    assert [each["generation"] for each in told(api, lb, "?sort=generation&limit=2")] == [1, 2]
    assert told(api, lb, "?limit=1&fields=what") == [{"what": "accepted"}]
    assert api("GET", f"loadbalancers/{lb}/events?marker=nonsense").status_code == 400


def test_so_many_are_kept_and_none_outlives_its_load_balancer(fresh: Callable[..., Any]) -> None:
    api = fresh(config="[DEFAULT]\nevents_kept = 5\n", noop=True)
    lb, other = api.make("loadbalancers")["id"], api.make("loadbalancers")["id"]
    for number in range(31):
        api("PUT", f"loadbalancers/{lb}", {"loadbalancer": {"name": str(number)}})
    assert [each["generation"] for each in told(api, lb)] == [32, 31, 30, 29, 28]
    assert api("DELETE", f"loadbalancers/{lb}").status_code == 204
    assert api("GET", f"loadbalancers/{lb}/events").status_code == 404
    with database.reading(api.engine) as conn:
        left = conn.exec_driver_sql("SELECT DISTINCT loadbalancer_id FROM event").scalars().all()
    assert left == [other]


def test_none_are_written_where_none_are_kept(fresh: Callable[..., Any]) -> None:
    api = fresh(config="[DEFAULT]\nevents_kept = 0\n")
    assert told(api, api.make("loadbalancers")["id"]) == []


def test_tenants_see_those_of_their_own(secure: Any) -> None:
    lb = secure.make("loadbalancers", "alice")["id"]
    for user, status in (("alice", 200), ("reader", 200), ("root", 200), ("bob", 403), ("nobody", 403)):
        assert secure("GET", f"loadbalancers/{lb}/events", user=user).status_code == status, user
    assert secure("GET", f"loadbalancers/{lb}/events", user="reader").json["events"][0]["user_id"] == "alice"


def test_every_kind_shows_its_fault_and_only_when_there_is_one(api: Any) -> None:
    lb = api.make(
        "loadbalancers",
        listeners=[{
            "name": "l", "protocol": "HTTP", "protocol_port": 80,
            "default_pool": {
                "name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
                "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1},
            },
            "l7policies": [{"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}],
        }],
    )["id"]  # fmt: skip
    graph = api.graph(lb)
    (pool,), (policy,) = graph.pools, graph.l7policies
    inside = {"members": f"pools/{pool}/", "rules": f"l7policies/{policy}/"}
    paths = {
        each.kind.name: f"{inside.get(each.kind.plural, '')}{each.kind.plural}/{each.id}" for each in graph.objects()
    }
    assert len(paths) == 7
    with database.writing(api.engine) as conn:
        graphs.blame(conn, lb, graph.generation, "it does not fit", [each.id for each in graph.objects()])
    for kind, path in paths.items():
        shown = api("GET", path).json[kind]
        assert (shown["provisioning_status"], shown["fault"]) == ("ERROR", "it does not fit")
    api.settle(lb)
    for kind, path in paths.items():
        assert "fault" not in api("GET", path).json[kind]
