# SPDX-License-Identifier: Apache-2.0
"""`immutable_while_pending`: one change at a time, as Octavia has it. Every state by every verb of every kind."""

from typing import Any

import pytest

from ottava.model import status
from ottava.store import engine as database

GATED_BY_LOAD_BALANCER = ("listener", "pool", "member", "healthmonitor", "l7policy", "rule")
GATED_BY_POOL = ("member", "healthmonitor")
GATED_BY_POLICY = ("rule",)
WORDS = {"loadbalancer": "Load Balancer", "pool": "Pool", "l7policy": "L7Policy"}


@pytest.fixture(scope="module")
def database_kind() -> str:
    """The states are no matter of the database."""
    return "sqlite"


class Tree:
    """A load balancer with one of each, over which every verb can be tried again and again."""

    def __init__(self, api: Any) -> None:
        self.api = api
        bare = {"name": "bare", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        pool = {**bare, "name": "pool", "members": [{"address": "198.18.0.1", "protocol_port": 80}],
                "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}}  # fmt: skip
        rules = [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]
        listener = {"protocol": "HTTP", "protocol_port": 80, "l7policies": [{"action": "REJECT", "rules": rules}]}
        self.id = lb = api.make("loadbalancers", listeners=[listener], pools=[bare, pool])["id"]
        graph = api.graph(lb)
        pools = {each.name: each.id for each in graph.pools.values()}
        (li,), (po,), (me,), (hm,), (ru,) = (
            graph.listeners, graph.l7policies, graph.members, graph.healthmonitors, graph.rules,
        )  # fmt: skip
        self.gates = {"loadbalancer": lb, "pool": pools["pool"], "l7policy": po, "listener": li}
        members, inside = f"pools/{pools['pool']}/members", f"l7policies/{po}/rules"
        self.paths = {
            "loadbalancer": f"loadbalancers/{lb}", "listener": f"listeners/{li}", "pool": f"pools/{pools['pool']}",
            "member": f"{members}/{me}", "healthmonitor": f"healthmonitors/{hm}", "l7policy": f"l7policies/{po}",
            "rule": f"{inside}/{ru}",
        }  # fmt: skip
        self.creations: dict[str, tuple[str, dict[str, object]]] = {
            "listener": ("listeners", {"loadbalancer_id": lb, "protocol": "HTTP"}),
            "pool": ("pools", {"loadbalancer_id": lb, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}),
            "member": (members, {"address": "198.18.0.2"}),
            "healthmonitor": (
                "healthmonitors", {"pool_id": pools["bare"], "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
            ),
            "l7policy": ("l7policies", {"listener_id": li, "action": "REJECT"}),
            "rule": (inside, dict(rules[0])),
        }  # fmt: skip
        self.port = 1000

    def put(self, kind: str, state: str) -> None:
        """Everything is ACTIVE but the objects of `kind`; what a trial has created is away."""
        with database.writing(self.api.engine) as conn:
            conn.exec_driver_sql("DELETE FROM healthmonitor WHERE pool_id IN (SELECT id FROM pool WHERE name = 'bare')")
            for each in self.paths:
                wanted = state if each == kind else status.ACTIVE
                conn.exec_driver_sql(f"UPDATE {each} SET provisioning_status = '{wanted}'")

    def do(self, verb: str, kind: str) -> Any:
        """Try it."""
        if verb == "create":
            path, body = self.creations[kind]
            self.port += 1
            port = {"protocol_port": self.port} if kind in ("listener", "member") else {}
            return self.api("POST", path, {kind: body | port})
        if verb == "failover":
            return self.api("PUT", f"{self.paths[kind]}/failover")
        if verb == "update":
            return self.api("PUT", self.paths[kind], {kind: {"admin_state_up": True}})
        query = "?cascade=true" if kind == "loadbalancer" else ""
        return self.api("DELETE", self.paths[kind] + query)


@pytest.fixture
def tree(fresh: Any) -> Tree:
    """A tree of an API that is strict."""
    return Tree(fresh(immutable_while_pending=True))


GOOD = {"create": 201, "update": 200, "delete": 204, "failover": 202}


@pytest.mark.parametrize("state", status.PROVISIONING)
def test_the_verbs_of_a_load_balancer(tree: Tree, state: str) -> None:
    allowed = {
        "update": (status.ACTIVE,),
        "delete": (status.ACTIVE, status.ERROR),
        "failover": (status.ACTIVE, status.ERROR),
    }
    for verb, states in allowed.items():
        tree.put("loadbalancer", state)
        answer = tree.do(verb, "loadbalancer")
        if state in states:
            assert answer.status_code == GOOD[verb], (verb, answer.text)
        else:
            assert answer.status_code == 409, (verb, answer.text)
            assert answer.json["faultstring"] == f"Invalid state {state} of loadbalancer resource {tree.id}"


@pytest.mark.parametrize("state", status.PROVISIONING)
@pytest.mark.parametrize(
    ("gate", "kinds"),
    [("loadbalancer", GATED_BY_LOAD_BALANCER), ("pool", GATED_BY_POOL), ("l7policy", GATED_BY_POLICY)],
)
def test_what_is_below_changes_only_while_its_gate_is_active(
    tree: Tree, gate: str, kinds: tuple[str, ...], state: str
) -> None:
    for kind in kinds:
        for verb in ("create", "update", "delete"):
            tree.put(gate, state)
            before = tree.api.everything()
            answer = tree.do(verb, kind)
            if state == status.ACTIVE:
                assert answer.status_code == GOOD[verb], (verb, kind, answer.text)
                continue
            asked = tree.gates[gate]
            if (verb, kind, gate) == ("create", "healthmonitor", "pool"):
                asked = str(tree.creations[kind][1]["pool_id"])
            assert answer.status_code == 409, (verb, kind, answer.text)
            assert answer.json["faultstring"] == f"{WORDS[gate]} {asked} is immutable and cannot be updated."
            assert tree.api.everything() == before


@pytest.mark.parametrize("state", [status.PENDING_CREATE, status.PENDING_UPDATE, status.ERROR])
def test_no_other_state_is_asked(tree: Tree, state: str) -> None:
    for kind in ("listener", "pool", "l7policy", "member", "healthmonitor", "rule"):
        tree.put(kind, state)
        for verb in ("update", "delete"):
            tree.put(kind, state)
            assert tree.do(verb, kind).status_code == GOOD[verb], (verb, kind)
    for verb in ("create", "update", "delete"):
        tree.put("listener", state)
        assert tree.do(verb, "l7policy").status_code == GOOD[verb], verb


def test_a_change_closes_the_gate_until_it_is_carried_out(tree: Tree) -> None:
    tree.put("loadbalancer", status.ACTIVE)
    assert tree.do("update", "member").status_code == 200
    for verb, kind in (("update", "listener"), ("create", "pool"), ("delete", "rule"), ("update", "member")):
        assert tree.do(verb, kind).status_code == 409
    tree.api.settle(tree.id)
    assert tree.do("update", "listener").status_code == 200
