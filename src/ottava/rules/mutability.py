# SPDX-License-Identifier: Apache-2.0
"""Whether a state allows a change, and which objects a change makes pending. Pure.

Ottava takes every change at any time, since the newest wish is all that counts; only what is being deleted can no
longer change. With `immutable_while_pending` it is as strict as the API's first implementation: one change at a time.
"""

from collections.abc import Iterator

from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource

CREATE, UPDATE, DELETE, FAILOVER = "create", "update", "delete", "failover"

_BECOMES = {
    CREATE: status.PENDING_CREATE,
    UPDATE: status.PENDING_UPDATE,
    DELETE: status.PENDING_DELETE,
    FAILOVER: status.PENDING_UPDATE,
}

Change = tuple[str, str, str]
"""The name of a kind, an id, and the provisioning status it gets."""


def check(graph: LoadBalancerGraph, thing: Resource, verb: str, immutable_while_pending: bool = False) -> None:
    """Refuse a verb ("create", "update", "delete" or "failover") on `thing`, which need not be in `graph` yet.

    Raises InvalidState for a load balancer's own verbs; Immutable, naming what is in the way, for its children.
    """
    load_balancer = graph.load_balancer
    if isinstance(thing, LoadBalancer):
        allowed = (status.ACTIVE,) if verb == UPDATE else (status.ACTIVE, status.ERROR)
        if verb != CREATE and _closed(load_balancer, immutable_while_pending, allowed):
            raise errors.InvalidState(state=load_balancer.provisioning_status, id=load_balancer.id)
        return
    for ancestor in _gates(graph, thing):
        if _closed(ancestor, immutable_while_pending):
            raise errors.Immutable(resource=word(type(ancestor)), id=ancestor.id)
    for other in (*_parents(graph, thing), *((thing,) if verb != CREATE else ())):
        if _leaving(other):
            raise errors.Immutable(resource=word(type(other)), id=other.id)


def mark(graph: LoadBalancerGraph, thing: Resource, verb: str) -> list[Change]:
    """The objects that a verb on `thing` makes pending, itself last; each gets the new generation too.

    `graph` is the one after the change as far as it tells which listeners use a pool. What is not ready yet stays
    PENDING_CREATE when it is updated, and what is being deleted stays so.
    """
    changes = {(each.kind.name, each.id): _pending(each, UPDATE) for each in _ancestors(graph, thing)}
    changes[thing.kind.name, thing.id] = _pending(thing, verb)
    return [(kind, id, state) for (kind, id), state in changes.items() if state is not None]


def _closed(thing: Resource, strict: bool, allowed: tuple[str, ...] = (status.ACTIVE,)) -> bool:
    return thing.provisioning_status not in allowed if strict else _leaving(thing)


def _leaving(thing: Resource) -> bool:
    return thing.provisioning_status == status.PENDING_DELETE


def word(cls: type[Resource]) -> str:
    """What a kind is called where it is in the way."""
    return "L7Policy" if cls is L7Policy else cls.kind.word


def _pending(thing: Resource, verb: str) -> str | None:
    """What becomes of the thing; None: it stays as it is, and belongs to its old generation."""
    if verb == DELETE:
        return status.PENDING_DELETE
    if _leaving(thing):
        return None
    if verb == UPDATE and thing.provisioning_status == status.PENDING_CREATE:
        return status.PENDING_CREATE
    return _BECOMES[verb]


def _gates(graph: LoadBalancerGraph, thing: Resource) -> Iterator[Resource]:
    """What must be at rest before `thing` may change, in the order in which it is asked."""
    match thing:
        case Member() | HealthMonitor():
            yield from _found(graph.pools.get(thing.pool_id))
        case L7Rule():
            yield from _found(graph.l7policies.get(thing.l7policy_id))
    yield graph.load_balancer


def _parents(graph: LoadBalancerGraph, thing: Resource) -> tuple[Resource, ...]:
    """What `thing` goes down with, below the load balancer, from the top."""
    match thing:
        case Member() | HealthMonitor():
            return _found(graph.pools.get(thing.pool_id))
        case L7Policy():
            return _found(graph.listeners.get(thing.listener_id))
        case L7Rule():
            policy = graph.l7policies.get(thing.l7policy_id)
            return (*_parents(graph, policy), policy) if policy else ()
    return ()


def _ancestors(graph: LoadBalancerGraph, thing: Resource) -> Iterator[Resource]:
    """What else changes when `thing` does, from the load balancer down."""
    if isinstance(thing, LoadBalancer):
        return
    yield graph.load_balancer
    if isinstance(thing, Pool):
        yield from graph.listeners_using(thing.id)
    if isinstance(thing, Member | HealthMonitor):
        yield from graph.listeners_using(thing.pool_id)
    yield from _parents(graph, thing)


def _found(thing: Resource | None) -> tuple[Resource, ...]:
    return (thing,) if thing else ()
