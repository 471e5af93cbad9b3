# SPDX-License-Identifier: Apache-2.0
"""What writes leave in the database for the controller: statuses, generations, wake-ups; and the strict mode."""

from pathlib import Path
from typing import Any

from ottava.model.graph import LoadBalancerGraph
from ottava.store import engine as database
from ottava.store import graphs, work

from .conftest import Api


def states(graph: LoadBalancerGraph) -> dict[str, str]:
    """The provisioning status of each object by its name; those without one by their kind."""
    return {getattr(each, "name", "") or each.kind.name: each.provisioning_status for each in graph.objects()}


def tree(api: Any) -> dict[str, Any]:
    """A settled load balancer with one of each, each named like its kind; `extra` uses the pool by no means."""
    found = api.make(
        "loadbalancers", name="loadbalancer",
        pools=[{"name": "extra", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}],
        listeners=[
            {"name": "listener", "protocol": "HTTP", "protocol_port": 80,
             "default_pool": {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
                              "members": [{"name": "member", "address": "198.18.0.1", "protocol_port": 80}],
                              "healthmonitor": {"name": "healthmonitor", "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}},
             "l7policies": [{"name": "l7policy", "action": "REJECT",
                             "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}]},
            {"name": "other", "protocol": "TCP", "protocol_port": 81},
        ],
    )  # fmt: skip
    api.settle(found["id"])
    return found


REST = dict.fromkeys(
    ("loadbalancer", "listener", "other", "pool", "extra", "member", "healthmonitor", "l7policy", "rule"), "ACTIVE"
)


def changed(api: Any, lb: str) -> dict[str, str]:
    """What is no longer at rest; it is settled afterwards."""
    graph = api.graph(lb)
    found = {name: state for name, state in states(graph).items() if state != "ACTIVE"}
    stale = [each for each in graph.objects() if each.provisioning_status != "ACTIVE"]
    assert all(each.generation == graph.generation for each in stale)
    api.settle(lb)
    return found


def test_each_write_marks_what_it_touches(api: Any) -> None:
    found = tree(api)
    lb, listener = found["id"], found["listeners"][0]
    pool = next(each for each in found["pools"] if each["name"] == "pool")
    policy = listener["l7policies"][0]
    up = {"loadbalancer": "PENDING_UPDATE", "listener": "PENDING_UPDATE"}
    assert states(api.graph(lb)) == REST
    paths = {
        f"loadbalancers/{lb}": ("loadbalancer", {"loadbalancer": "PENDING_UPDATE"}),
        f"listeners/{listener['id']}": ("listener", up),
        f"pools/{pool['id']}": ("pool", {**up, "pool": "PENDING_UPDATE"}),
        f"pools/{pool['id']}/members/{pool['members'][0]['id']}": (
            "member", {**up, "pool": "PENDING_UPDATE", "member": "PENDING_UPDATE"}),
        f"healthmonitors/{pool['healthmonitor']['id']}": (
            "healthmonitor", {**up, "pool": "PENDING_UPDATE", "healthmonitor": "PENDING_UPDATE"}),
        f"l7policies/{policy['id']}": ("l7policy", {**up, "l7policy": "PENDING_UPDATE"}),
        f"l7policies/{policy['id']}/rules/{policy['rules'][0]['id']}": (
            "rule", {**up, "l7policy": "PENDING_UPDATE", "rule": "PENDING_UPDATE"}),
    }  # fmt: skip
    for path, (kind, expected) in paths.items():
        body = {kind: {"admin_state_up": False}}
        result = api("PUT", path, body)
        assert (result.status_code, result.json[kind]["provisioning_status"]) == (200, "PENDING_UPDATE")
        assert changed(api, lb) == expected, path
        assert api("GET", path).json[kind]["updated_at"] is not None
    for path, (kind, expected) in reversed(paths.items()):
        if kind not in ("loadbalancer", "listener"):
            assert api("DELETE", path).status_code == 204
            assert changed(api, lb) == {**expected, kind: "PENDING_DELETE"}, path
    assert api("DELETE", f"listeners/{listener['id']}").status_code == 204
    api.settle(lb)
    assert set(states(api.graph(lb))) == {"loadbalancer", "other", "extra"}


def test_creations_mark_what_they_touch(api: Any) -> None:
    lb = api.make("loadbalancers", name="loadbalancer")["id"]
    assert changed(api, lb) == {"loadbalancer": "PENDING_CREATE"}
    listener = api.make("listeners", loadbalancer_id=lb, name="listener", protocol="HTTP", protocol_port=80)["id"]
    assert changed(api, lb) == {"loadbalancer": "PENDING_UPDATE", "listener": "PENDING_CREATE"}
    up = {"loadbalancer": "PENDING_UPDATE", "listener": "PENDING_UPDATE"}
    pool = api.make("pools", listener_id=listener, name="pool", protocol="HTTP", lb_algorithm="SOURCE_IP")["id"]
    assert changed(api, lb) == {**up, "pool": "PENDING_CREATE"}
    api.make(f"pools/{pool}/members", name="member", address="198.18.0.1", protocol_port=80)
    assert changed(api, lb) == {**up, "pool": "PENDING_UPDATE", "member": "PENDING_CREATE"}
    policy = api.make("l7policies", listener_id=listener, name="l7policy", action="REJECT")["id"]
    assert changed(api, lb) == {**up, "l7policy": "PENDING_CREATE"}
    api.make(f"l7policies/{policy}/rules", type="PATH", compare_type="EQUAL_TO", value="/")
    assert changed(api, lb) == {**up, "l7policy": "PENDING_UPDATE", "rule": "PENDING_CREATE"}


def test_each_write_counts_and_wakes(api: Any) -> None:
    lb = api.make("loadbalancers")["id"]
    with database.reading(api.engine) as conn:
        before = work.view(conn, lb)
    assert before is not None
    assert before.generation == 1
    assert before.due_at is not None
    sent = api.wakeup.sent
    assert api("PUT", f"loadbalancers/{lb}", {"loadbalancer": {}}).status_code == 200
    assert api("PUT", f"loadbalancers/{lb}", {"loadbalancer": {"name": 5}}).status_code == 400
    with database.reading(api.engine) as conn:
        after = work.view(conn, lb)
    assert after is not None
    assert after.generation == 2
    assert api.wakeup.sent == sent + 1


def test_what_is_not_ready_yet_can_be_changed(api: Any) -> None:
    lb = api.make("loadbalancers", listeners=[{"protocol": "TCP", "protocol_port": 80}])
    result = api("PUT", f"listeners/{lb['listeners'][0]['id']}", {"listener": {"name": "new"}})
    assert result.json["listener"]["provisioning_status"] == "PENDING_CREATE"
    api.make("listeners", loadbalancer_id=lb["id"], protocol="TCP", protocol_port=81)
    assert api("DELETE", f"loadbalancers/{lb['id']}?cascade=true").status_code == 204


def test_strict_mode_takes_one_change_at_a_time(fresh: Any) -> None:
    api = fresh(immutable_while_pending=True)
    lb = api.make("loadbalancers")["id"]
    body = {"listener": {"loadbalancer_id": lb, "protocol": "TCP", "protocol_port": 80}}
    for verb, path, sent in (
        ("PUT", f"loadbalancers/{lb}", {"loadbalancer": {}}),
        ("PUT", f"loadbalancers/{lb}/failover", None),
        ("DELETE", f"loadbalancers/{lb}", None),
    ):
        result = api(verb, path, sent)
        assert result.status_code == 409
        assert result.json["faultstring"] == f"Invalid state PENDING_CREATE of loadbalancer resource {lb}"
    assert (
        api("POST", "listeners", body).json["faultstring"] == f"Load Balancer {lb} is immutable and cannot be updated."
    )
    api.settle(lb)
    assert api("POST", "listeners", body).status_code == 201


def test_a_fault_is_shown_until_it_heals(api: Any) -> None:
    lb = api.make("loadbalancers")["id"]
    with database.writing(api.engine) as conn:
        graphs.blame(conn, lb, 1, "port 80 is taken on the host", [])
    shown = api("GET", f"loadbalancers/{lb}").json["loadbalancer"]
    assert (shown["provisioning_status"], shown["fault"]) == ("ERROR", "port 80 is taken on the host")
    assert "fault" in api("GET", f"loadbalancers?id={lb}").json["loadbalancers"][0]
    api.settle(lb)
    assert "fault" not in api("GET", f"loadbalancers/{lb}").json["loadbalancer"]


def test_failover_replaces_the_amphorae(api: Any) -> None:
    from ottava.model.amphora import Amphora
    from ottava.store import amphorae

    lb = api.make("loadbalancers")["id"]
    with database.writing(api.engine) as conn:
        amphorae.place(conn, Amphora(id="a", loadbalancer_id=lb, host="h"))
    api.settle(lb)
    assert api("PUT", f"loadbalancers/{lb}/failover").status_code == 202
    graph = api.graph(lb)
    assert graph.load_balancer.provisioning_status == "PENDING_UPDATE"
    assert graph.amphorae["a"].status == "PENDING_DELETE"


def test_a_port_is_given_back_when_the_tree_is_refused(api: Any) -> None:
    free = api.make("loadbalancers", vip_address="198.18.77.77")
    body = {"vip_subnet_id": api.subnet_id, "vip_address": "198.18.77.78",
            "listeners": [{"protocol": "TCP", "protocol_port": 80, "allowed_cidrs": ["2001:db8::/32"]}]}  # fmt: skip
    assert api("POST", "loadbalancers", {"loadbalancer": body}).status_code == 400
    assert len(api.book.of(free["vip_port_id"])) == 1
    api.make("loadbalancers", vip_address="198.18.77.78")


def test_healthcheck(fresh: Any) -> None:
    api = fresh(healthcheck_enabled=True)
    result = api("GET", "/healthcheck")
    assert (result.status_code, result.text) == (200, "OK")
    assert api("GET", "/load-balancer/healthcheck", headers={"Accept": "application/json"}).json["reasons"] == ["OK"]
    assert api("POST", "/healthcheck").status_code == 405


def test_a_database_that_does_not_answer_is_a_503_without_its_words(tmp_path: Path) -> None:
    api = Api(tmp_path)
    lb = api.make("loadbalancers")["id"]
    api.engine.dispose()
    for path in tmp_path.glob("ottava.sqlite*"):
        path.unlink()
    (tmp_path / "ottava.sqlite").mkdir()
    result = api("GET", f"loadbalancers/{lb}")
    assert result.status_code == 503
    assert result.json["faultstring"] == "Ottava cannot answer at the moment. Please try again."
