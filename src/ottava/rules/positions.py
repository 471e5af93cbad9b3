# SPDX-License-Identifier: Apache-2.0
"""The order of a listener's L7 policies: positions are 1, 2, 3 ... without gaps. Pure.

A policy that is being deleted keeps its place until its row is gone.
"""

from collections.abc import Sequence

from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import L7Policy


def insert_at(graph: LoadBalancerGraph, policy: L7Policy) -> dict[str, int]:
    """The positions, by policy id, when `policy` stands where its `position` says, or last if that is beyond the
    end: its own, and those that change with it. `graph` may hold it in its old place: then it moves.
    """
    rest = [each for each in graph.policies_of(policy.listener_id) if each.id != policy.id]
    place = min(policy.position, len(rest) + 1)
    changed = _changed([*rest[: place - 1], policy, *rest[place - 1 :]])
    return {**changed, policy.id: place}


def renumber(graph: LoadBalancerGraph, listener_id: str) -> dict[str, int]:
    """The positions that change, by policy id, when gaps are closed."""
    return _changed(graph.policies_of(listener_id))


def _changed(ordered: Sequence[L7Policy]) -> dict[str, int]:
    return {policy.id: place for place, policy in enumerate(ordered, 1) if policy.position != place}
