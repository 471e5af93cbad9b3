# SPDX-License-Identifier: Apache-2.0
"""The tree against a model of it: what each write answers, and what is there afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.fuzz import TIMES, examples

FITS = {"TCP": ("TCP", "HTTP"), "HTTP": ("HTTP",)}
"""Which pools may stand behind which listeners."""

ABOVE = {"member": "pool", "healthmonitor": "pool", "l7policy": "listener", "rule": "l7policy"}
PLURAL = {
    "listener": "listeners", "pool": "pools", "member": "members", "healthmonitor": "healthmonitors",
    "l7policy": "l7policies", "rule": "rules",
}  # fmt: skip


@dataclass
class Thing:
    """One object of the model. `pool` is what it sends requests to; `key` is what must be unique among its like."""

    kind: str
    id: str
    parent: "Thing | None" = None
    protocol: str = ""
    key: Any = None
    pool: "Thing | None" = None
    state: str = "PENDING_CREATE"

    @property
    def leaving(self) -> bool:
        """Whether it is being deleted."""
        return self.state == "PENDING_DELETE"


@dataclass
class Model:
    """One load balancer. Nothing that is being deleted can be changed, referred to, or be in the way."""

    things: list[Thing] = field(default_factory=list)
    state: str = "PENDING_CREATE"

    def of(self, kind: str) -> list[Thing]:
        """The objects of a kind, in order of creation."""
        return [each for each in self.things if each.kind == kind]

    def policies(self, listener: Thing) -> list[Thing]:
        """Those of a listener, in their order; `key` is the position."""
        return sorted((each for each in self.of("l7policy") if each.parent is listener), key=lambda each: each.key)

    def closed(self, thing: Thing | None) -> bool:
        """Whether nothing at or below it can change."""
        while thing is not None:
            if thing.leaving:
                return True
            thing = thing.parent
        return self.state == "PENDING_DELETE"

    def using(self, pool: Thing) -> list[Thing]:
        """The listeners that send requests to a pool."""
        ruled = [each.parent for each in self.of("rule")]
        by_policy = [each.parent for each in self.of("l7policy") if each.pool is pool and each in ruled]
        return [each for each in self.of("listener") if each.pool is pool or each in by_policy]

    def touch(self, thing: Thing) -> None:
        """What becomes pending when a thing changes: all above it, and the listeners of its pool."""
        found, above = [], thing.parent
        while above is not None:
            found.append(above)
            above = above.parent
        pool = thing if thing.kind == "pool" else next((each for each in found if each.kind == "pool"), None)
        for each in (*found, *(self.using(pool) if pool else ())):
            self.update(each)
        if self.state == "ACTIVE":
            self.state = "PENDING_UPDATE"

    def update(self, thing: Thing) -> None:
        """It has a change to be applied."""
        if thing.state == "ACTIVE":
            thing.state = "PENDING_UPDATE"

    def place(self, policy: Thing, position: int) -> None:
        """Put a policy where it was asked for, or last."""
        assert policy.parent
        rest = [each for each in self.policies(policy.parent) if each is not policy]
        rest.insert(min(position - 1, len(rest)), policy)
        self.renumber(rest)

    def renumber(self, policies: list[Thing]) -> None:
        """Positions are 1, 2, 3 ..."""
        for at, each in enumerate(policies, 1):
            each.key = at

    def settle(self) -> None:
        """All that was wished is so."""
        gone = [each for each in self.things if each.leaving]
        for each in gone:  # grows by what is below
            gone += [other for other in self.things if other.parent is each and other not in gone]
        self.things = [each for each in self.things if each not in gone]
        for each in self.things:
            each.state = "ACTIVE"
            each.pool = None if each.pool in gone else each.pool
        for listener in self.of("listener"):
            self.renumber(self.policies(listener))
        if self.state != "PENDING_DELETE":
            self.state = "ACTIVE"


class Tree(RuleBasedStateMachine):
    """Writes at random; a number picks an object that is there."""

    api: Any

    def __init__(self) -> None:
        super().__init__()
        self.another()

    def another(self) -> None:
        """Begin with a load balancer of its own, and something below it."""
        self.id = self.api.make("loadbalancers")["id"]
        self.model = Model()
        self.create_listener("HTTP", 1, None)
        self.create_pool("HTTP", 0)
        for pool in (None, 0):
            self.create_policy(0, pool, 1)
        self.settle()

    def pick(self, kind: str, at: int) -> Thing | None:
        found = self.model.of(kind)
        return found[at % len(found)] if found else None

    def path(self, kind: str, parent: Thing | None) -> str:
        inside = {"member": "pools", "rule": "l7policies"}.get(kind)
        return f"{inside}/{parent.id}/{PLURAL[kind]}" if inside and parent else PLURAL[kind]

    def send(self, method: str, path: str, body: Any, expected: int) -> Any:
        result = self.api(method, path, body)
        assert result.status_code == expected, (method, path, body, result.status_code, result.text)
        return result.json if result.content else None

    def create(self, thing: Thing, expected: int, **values: Any) -> bool:
        """Ask for it; if it is to be had, the model has it too."""
        answer = self.send("POST", self.path(thing.kind, thing.parent), {thing.kind: values}, expected)
        if expected != 201:
            return False
        thing.id = answer[thing.kind]["id"]
        self.model.things.append(thing)
        self.model.touch(thing)
        return True

    def refused(self, *reasons: tuple[bool, int]) -> int:
        """The first status whose reason holds, else that of a creation."""
        return next((status for holds, status in reasons if holds), 201)

    @rule(protocol=st.sampled_from(sorted(FITS)), port=st.integers(1, 3), pool=st.none() | st.integers(0, 9))
    def create_listener(self, protocol: str, port: int, pool: int | None) -> None:
        found = None if pool is None else self.pick("pool", pool)
        expected = self.refused(
            (found is not None and not found.leaving and found.protocol not in FITS[protocol], 400),
            (found is not None and found.leaving, 409),
            (any(each.key == port and not each.leaving for each in self.model.of("listener")), 409),
            (self.model.closed(None), 409),
        )
        thing = Thing("listener", "", protocol=protocol, key=port, pool=found)
        more = {} if found is None else {"default_pool_id": found.id}
        self.create(thing, expected, loadbalancer_id=self.id, protocol=protocol, protocol_port=port, **more)

    @rule(protocol=st.sampled_from(sorted(FITS)), listener=st.none() | st.integers(0, 9))
    def create_pool(self, protocol: str, listener: int | None) -> None:
        found = None if listener is None else self.pick("listener", listener)
        taken = found is not None and found.pool is not None and not found.pool.leaving
        expected = self.refused(
            (found is not None and found.leaving, 409),
            (found is not None and protocol not in FITS[found.protocol], 400),
            (taken or self.model.closed(None), 409),
        )
        thing = Thing("pool", "", protocol=protocol)
        more = {"loadbalancer_id": self.id} if found is None else {"listener_id": found.id}
        if self.create(thing, expected, protocol=protocol, lb_algorithm="ROUND_ROBIN", **more) and found:
            found.pool = thing
            self.model.touch(thing)

    @rule(at=st.integers(0, 9), pool=st.none() | st.integers(0, 9))
    def change_default_pool(self, at: int, pool: int | None) -> None:
        listener = self.pick("listener", at)
        found = None if pool is None else self.pick("pool", pool)
        if listener is None:
            return
        fits = found is None or found.leaving or found.protocol in FITS[listener.protocol]
        refused = (found is not None and found.leaving) or self.model.closed(listener)
        expected = 400 if not fits else 409 if refused else 200
        body = {"listener": {"default_pool_id": found.id if found else None}}
        self.send("PUT", f"listeners/{listener.id}", body, expected)
        if expected == 200:
            listener.pool = found
            self.model.touch(listener)
            self.model.update(listener)

    @rule(pool=st.integers(0, 9), key=st.integers(1, 3))
    def create_member(self, pool: int, key: int) -> None:
        parent = self.pick("pool", pool)
        if parent is None:
            return
        same = any(each.key == key and each.parent is parent and not each.leaving for each in self.model.of("member"))
        expected = self.refused((same or self.model.closed(parent), 409))
        self.create(Thing("member", "", parent, key=key), expected, address=f"198.18.0.{key}", protocol_port=80)

    @rule(pool=st.integers(0, 9), keys=st.lists(st.integers(1, 3), max_size=3), additive=st.booleans())
    def replace_members(self, pool: int, keys: list[int], additive: bool) -> None:
        parent = self.pick("pool", pool)
        if parent is None:
            return
        present = {each.key: each for each in self.model.of("member") if each.parent is parent and not each.leaving}
        twice = next((key for at, key in enumerate(keys) if key in keys[:at]), None)
        dropped = [] if additive else [each for key, each in present.items() if key not in keys]
        expected = 202
        if twice is not None:
            expected = 400 if twice in present else 409
        elif (keys or dropped) and self.model.closed(parent):
            expected = 409
        body = {"members": [{"address": f"198.18.0.{key}", "protocol_port": 80} for key in keys]}
        self.send("PUT", f"pools/{parent.id}/members?additive_only={additive}", body, expected)
        if expected == 202:
            for each in dropped:
                each.state = "PENDING_DELETE"
            for key in keys:
                if key in present:
                    self.model.update(present[key])
                else:
                    self.model.things.append(Thing("member", self._member(parent, key), parent, key=key))
            if keys or dropped:
                self.model.touch((self.model.of("member"))[-1] if not dropped else dropped[0])
                self.model.touch(Thing("member", "", parent))

    def _member(self, pool: Thing, key: int) -> str:
        graph = self.api.graph(self.id)
        found = [each for each in graph.members_of(pool.id) if each.address == f"198.18.0.{key}"]
        return str(max(found, key=lambda each: each.created_at).id)

    @rule(pool=st.integers(0, 9))
    def create_monitor(self, pool: int) -> None:
        parent = self.pick("pool", pool)
        if parent is None:
            return
        same = any(each.parent is parent and not each.leaving for each in self.model.of("healthmonitor"))
        expected = self.refused((same or self.model.closed(parent), 409))
        values = {"type": "TCP", "delay": 5, "timeout": 2, "max_retries": 3, "pool_id": parent.id}
        self.create(Thing("healthmonitor", "", parent), expected, **values)

    @rule(listener=st.integers(0, 9), pool=st.none() | st.integers(0, 9), position=st.integers(1, 4))
    def create_policy(self, listener: int, pool: int | None, position: int) -> None:
        parent = self.pick("listener", listener)
        found = None if pool is None else self.pick("pool", pool)
        if parent is None:
            return
        fits = found is None or found.leaving or parent.leaving or found.protocol in FITS[parent.protocol]
        refused = self.model.closed(parent) or (found is not None and found.leaving)
        expected = self.refused((not fits, 400), (refused, 409), (parent.protocol == "TCP", 501))
        thing = Thing("l7policy", "", parent, key=99, pool=found)
        more = {"action": "REJECT"}
        if found is not None:
            more = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": found.id}
        if self.create(thing, expected, listener_id=parent.id, position=position, **more):
            self.model.place(thing, position)

    @rule(at=st.integers(0, 9), position=st.integers(1, 4))
    def move_policy(self, at: int, position: int) -> None:
        policy = self.pick("l7policy", at)
        if policy is None:
            return
        expected = 409 if self.model.closed(policy) or (policy.pool is not None and policy.pool.leaving) else 200
        self.send("PUT", f"l7policies/{policy.id}", {"l7policy": {"position": position}}, expected)
        if expected == 200:
            self.model.place(policy, position)
            self.model.touch(policy)
            self.model.update(policy)

    @rule(policy=st.integers(0, 9))
    def create_rule(self, policy: int) -> None:
        parent = self.pick("l7policy", policy)
        if parent is not None:
            expected = self.refused((self.model.closed(parent), 409))
            self.create(Thing("rule", "", parent), expected, type="PATH", compare_type="EQUAL_TO", value="/")

    @rule(kind=st.sampled_from(sorted(PLURAL)), at=st.integers(0, 9))
    def delete(self, kind: str, at: int) -> None:
        thing = self.pick(kind, at)
        if thing is None:
            return
        used = any(
            each.pool is thing and not each.leaving and not (each.parent and each.parent.leaving)
            for each in self.model.of("l7policy")
        )
        expected = 409 if self.model.closed(thing) or used else 204
        self.send("DELETE", f"{self.path(kind, thing.parent)}/{thing.id}", None, expected)
        if expected == 204:
            self.model.touch(thing)
            thing.state = "PENDING_DELETE"

    @rule()
    def settle(self) -> None:
        self.api.settle(self.id)
        self.model.settle()

    @precondition(lambda self: len(self.model.things) > 9)
    @rule(cascade=st.booleans())
    def delete_load_balancer(self, cascade: bool) -> None:
        children = any(each.kind in ("listener", "pool") and not each.leaving for each in self.model.things)
        expected = 400 if children and not cascade else 409 if self.model.closed(None) else 204
        self.send("DELETE", f"loadbalancers/{self.id}?cascade={cascade}", None, expected)
        if expected == 204:
            self.model.state = "PENDING_DELETE"

    @precondition(lambda self: self.model.state == "PENDING_DELETE")
    @rule()
    def begin_again(self) -> None:
        self.teardown()
        self.another()

    @invariant()
    def what_is_kept_is_the_model(self) -> None:
        graph = self.api.graph(self.id)
        kept = {(each.kind.name, each.id): each for each in graph.children()}
        assert kept.keys() == {(each.kind, each.id) for each in self.model.things}
        assert graph.load_balancer.provisioning_status == self.model.state
        for thing in self.model.things:
            found = kept[thing.kind, thing.id]
            assert found.provisioning_status == thing.state, (thing, found)
            pool = thing.pool and thing.pool.id
            if thing.kind == "listener":
                assert found.default_pool_id == pool
            if thing.kind == "l7policy":
                assert (found.redirect_pool_id, found.position) == (pool, thing.key)

    def teardown(self) -> None:
        """What clients see is the model too."""
        for kind, plural in PLURAL.items():
            for path, expected in self._lists(kind, plural):
                answer = self.send("GET", path, None, 200)[plural]
                assert {each["id"]: each["provisioning_status"] for each in answer} == {
                    each.id: each.state for each in expected
                }
        for pool in self.model.of("pool"):
            shown = self.send("GET", f"pools/{pool.id}", None, 200)["pool"]
            assert {each["id"] for each in shown["listeners"]} == {each.id for each in self.model.using(pool)}

    def _lists(self, kind: str, plural: str) -> Iterator[tuple[str, list[Thing]]]:
        if kind not in ("member", "rule"):
            yield f"{plural}?loadbalancer_id={self.id}", self.model.of(kind)
            return
        for parent in self.model.of(ABOVE[kind]):
            mine = [each for each in self.model.of(kind) if each.parent is parent]
            yield f"{PLURAL[ABOVE[kind]]}/{parent.id}/{plural}", mine


@pytest.fixture(scope="module")
def database_kind() -> str:
    """One is enough: the rules are the same on each."""
    return "sqlite"


def test_the_tree_is_as_the_model_says(api: Any) -> None:
    machine = type("TreeOfApi", (Tree,), {"api": api})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(60), stateful_step_count=40, deadline=None, derandomize=TIMES == 1, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
