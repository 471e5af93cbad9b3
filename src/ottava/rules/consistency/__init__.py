# SPDX-License-Identifier: Apache-2.0
"""What must hold across the attributes of an object and across the objects of a load balancer. Pure.

One file for each resource; here is the door to them. What a single value must be like is the model's
(its scalars); what a state forbids is mutability.py's. Objects on their way out (PENDING_DELETE) count as
gone: they reserve nothing and block nothing, but they cannot be referred to either.

`graph` may be loaded with only the kinds that `kinds_needed` names.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules.consistency import healthmonitor, l7policy, l7rule, listener, loadbalancer, member, pool
from ottava.rules.consistency.pool import check_attach
from ottava.rules.deployment import STANDARD, Deployment

__all__ = ["check", "check_attach", "check_delete", "complete", "kinds_needed", "merge"]

R = TypeVar("R", bound=Resource)

_USERS_OF_POOL = frozenset(("listener", "pool", "l7policy", "rule"))
"""What tells which listeners use a pool."""

_NEEDED: dict[str, frozenset[str]] = {
    "loadbalancer": frozenset(("listener", "pool")),
    "listener": frozenset(("listener", "pool")),
    "pool": _USERS_OF_POOL,
    "member": _USERS_OF_POOL | {"member", "healthmonitor"},
    "healthmonitor": _USERS_OF_POOL | {"healthmonitor"},
    "l7policy": frozenset(("listener", "pool", "l7policy")),
    "rule": frozenset(("listener", "l7policy", "rule")),
}


def kinds_needed(kind: str) -> frozenset[str]:
    """The kinds of children that the graph must hold for any rule about a `kind`: those here, in mutability.py
    and in positions.py. A kind that no rule knows needs none but itself."""
    return _NEEDED.get(kind, frozenset((kind,)))


def complete(graph: LoadBalancerGraph, thing: R, deployment: Deployment = STANDARD) -> R:
    """A new `thing` with what its other values, its surroundings and the deployment imply: a monitor's GET, / and 200,
    the code of a redirect, the ciphers of TLS, a member's first status; arguments that a policy's action has no use for are dropped.

    Doing it twice changes nothing. Raises BadValue for a session persistence without a type.
    """
    completed: Resource = thing
    match thing:
        case Listener():
            completed = listener.complete(thing, deployment)
        case Pool():
            completed = pool.complete(thing, deployment)
        case Member():
            completed = member.complete(graph, thing)
        case HealthMonitor():
            completed = healthmonitor.complete(thing)
        case L7Policy():
            completed = l7policy.complete(thing)
    return completed  # type: ignore[return-value]


def merge(old: R, changes: Mapping[str, object], deployment: Deployment = STANDARD) -> R:
    """`old` after an update: sparse, with what the changes imply (sending a redirect's argument switches a policy's
    action, a session persistence without a type keeps the old one's). The result is complete.

    `changes` holds values as the model's scalars read them, nulls already turned into what they mean there.
    Raises Invalid, BadValue, BadOption, BadPolicy.
    """
    merged: Resource
    match old:
        case Listener():
            merged = listener.merge(old, changes, deployment)
        case Pool():
            merged = pool.merge(old, changes, deployment)
        case HealthMonitor():
            merged = healthmonitor.merge(old, changes)
        case L7Policy():
            merged = l7policy.merge(old, changes)
        case L7Rule():
            merged = l7rule.merge(old, changes)
        case _:
            merged = msgspec.structs.replace(old, **changes)
    return merged  # type: ignore[return-value]


def check(graph: LoadBalancerGraph, thing: R, deployment: Deployment = STANDARD, old: R | None = None) -> None:
    """Refuse a complete `thing` that contradicts itself or the rest of its load balancer.

    `graph` may hold an object of the same id (its older self, or itself): that one is ignored. So every object of
    a graph made in one call may be checked against the whole graph.

    old: what it was before an update. What was taken once stays, even if the operator would refuse it now.

    Raises Invalid, BadOption, DisabledOption, NoChildren, NoDirectPorts, BadRule, BadPolicy (400), NotFound (404),
    Immutable, Duplicate, TooMany (409).
    """
    before: Any = old
    match thing:
        case LoadBalancer():
            loadbalancer.check(graph, thing, before, deployment)
        case Listener():
            listener.check(graph, thing, before, deployment)
        case Pool():
            pool.check(thing, before, deployment)
        case Member():
            member.check(graph, thing, deployment)
        case HealthMonitor():
            healthmonitor.check(graph, thing, before, deployment)
        case L7Policy():
            l7policy.check(graph, thing)
        case L7Rule():
            l7rule.check(graph, thing)


def check_delete(graph: LoadBalancerGraph, thing: Resource, cascade: bool = False) -> None:
    """Refuse to delete what others need: a load balancer with children unless they go too (Invalid), a pool that
    an L7 policy redirects to (InUse)."""
    if isinstance(thing, LoadBalancer):
        loadbalancer.check_delete(graph, cascade)
    elif isinstance(thing, Pool):
        pool.check_delete(graph, thing)
