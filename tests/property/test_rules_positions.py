# SPDX-License-Identifier: Apache-2.0
"""Positions of L7 policies against a plain list."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.trees import graph, make

from ottava.model.l7 import APPEND, L7Policy
from ottava.model.listener import Listener
from ottava.rules.positions import insert_at, renumber

POSITIONS = st.one_of(st.integers(1, 6), st.just(APPEND))


class Policies(RuleBasedStateMachine):
    """Policies come, move and go; `order` is what a list makes of it."""

    def __init__(self) -> None:
        super().__init__()
        other = make(L7Policy, id="elsewhere", listener_id="other", position=1)
        self.graph = graph(make(Listener), make(Listener, id="other"), other)
        self.order: list[str] = []
        self.made = 0

    def write(self, positions: dict[str, int]) -> None:
        for id, position in positions.items():
            self.graph.l7policies[id].position = position

    def place(self, policy: L7Policy) -> None:
        before = {each.id: each.position for each in self.graph.policies_of("listener")}
        positions = insert_at(self.graph, policy)
        assert policy.id in positions
        assert all(before.get(id) != new for id, new in positions.items() if id != policy.id)
        self.graph.l7policies[policy.id] = policy
        self.write(positions)

    @rule(position=POSITIONS)
    def create(self, position: int) -> None:
        self.made += 1
        # Later ones sort first by id and all have one time of creation: only positions may decide.
        policy = make(L7Policy, id=f"policy-{999 - self.made}", position=position)
        self.order.insert(position - 1, policy.id)
        self.place(policy)

    @precondition(lambda self: self.order)
    @rule(data=st.data(), position=POSITIONS)
    def move(self, data: Any, position: int) -> None:
        id = data.draw(st.sampled_from(self.order))
        self.order.remove(id)
        self.order.insert(position - 1, id)
        self.place(make(L7Policy, id=id, position=position))

    @precondition(lambda self: self.order)
    @rule(data=st.data(), count=st.integers(1, 3))
    def remove(self, data: Any, count: int) -> None:
        for id in data.draw(st.permutations(self.order))[:count]:
            self.order.remove(id)
            del self.graph.l7policies[id]
        self.write(renumber(self.graph, "listener"))

    @invariant()
    def in_order_without_gaps(self) -> None:
        found = self.graph.policies_of("listener")
        assert [each.id for each in found] == self.order
        assert [each.position for each in found] == list(range(1, len(found) + 1))
        assert self.graph.l7policies["elsewhere"].position == 1


TestPolicies = Policies.TestCase
TestPolicies.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


@given(st.integers(1, 5))
@settings(deadline=None)
def test_staying_in_place_moves_nobody(place: int) -> None:
    policies = [make(L7Policy, id=f"policy-{number}", position=number) for number in range(1, 6)]
    found = graph(make(Listener), *policies)
    assert insert_at(found, policies[place - 1]) == {f"policy-{place}": place}
    assert renumber(found, "listener") == {}
