# SPDX-License-Identifier: Apache-2.0
"""Answers by the declarations: what a resource looks like in JSON, in short and as a whole tree."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ottava.model.attribute import Relation, attributes
from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import L7Policy
from ottava.model.listener import Listener
from ottava.model.pool import Pool
from ottava.model.resource import Declared, Resource

Json = dict[str, object]
Relations = Mapping[str, Any]

_LATER = ("fault", "project_id")
"""Rendered, but not simply: only where there is one; under two names."""


@functools.cache
def _plain(cls: type[Declared]) -> tuple[tuple[str, ...], Callable[[Declared], tuple[object, ...]]]:
    """The names of what is simply rendered, and what reads their values."""
    names = tuple(name for name, each in attributes(cls).items() if each.rendered and name not in _LATER)
    return names, operator.attrgetter(*names)


def own(thing: Declared) -> Json:
    """The attributes of one resource, without relations."""
    names, read = _plain(type(thing))
    answer: Json = dict(zip(names, read(thing), strict=True))
    if isinstance(thing, Resource):
        answer["project_id"] = answer["tenant_id"] = thing.project_id
        if thing.fault is not None:
            answer["fault"] = thing.fault
    elif answer.get("name", "") is None:
        answer["name"] = ""
    return answer


def short(thing: Declared, relations: Relations) -> Json:
    """One resource as show, list and update answer it. relations: ids by the relation's name."""
    answer = own(thing)
    for relation in thing.kind.relations:
        _relate(answer, relation, thing, relations)
    return answer


def _relate(answer: Json, relation: Relation, thing: Declared, relations: Relations) -> None:
    if not relation.reverse:
        answer[relation.name] = [{"id": getattr(thing, relation.key)}]
        return
    found = relations.get(relation.name)
    if relation.many:
        answer[relation.name] = [{"id": each} for each in found or ()]
    elif found is not None:
        answer[relation.name] = found


def chosen(answer: Json, fields: Sequence[str]) -> Json:
    """Only the fields asked for; all of them if none is named."""
    return {name: answer[name] for name in fields if name in answer} if fields else answer


def tree(graph: LoadBalancerGraph) -> Json:
    """A load balancer with its children in full, as its creation answers it."""
    answer = own(graph.load_balancer)
    answer["listeners"] = [_listener(graph, each) for each in graph.listeners.values()]
    answer["pools"] = [_pool(graph, each) for each in graph.pools.values()]
    return answer


def root(graph: LoadBalancerGraph) -> Json:
    """The load balancer of a whole tree in short, exactly as it will be shown."""
    balancer = graph.load_balancer
    relations = {
        relation.name: [each.id for each in sorted(getattr(graph, relation.name).values(), key=_age)]
        for relation in balancer.kind.relations
    }
    return short(msgspec.structs.replace(balancer, tags=tuple(sorted(balancer.tags))), relations)


def _age(thing: Resource) -> tuple[str, str]:
    return thing.created_at, thing.id


def _listener(graph: LoadBalancerGraph, listener: Listener) -> Json:
    return own(listener) | {"l7policies": [_policy(graph, each) for each in graph.policies_of(listener.id)]}


def _policy(graph: LoadBalancerGraph, policy: L7Policy) -> Json:
    return own(policy) | {"rules": [own(each) for each in graph.rules_of(policy.id)]}


def _pool(graph: LoadBalancerGraph, pool: Pool) -> Json:
    answer = own(pool)
    users = dict.fromkeys(each.id for each in graph.listeners.values() if each.default_pool_id == pool.id)
    for policy in graph.l7policies.values():
        if policy.redirect_pool_id == pool.id and policy.admin_state_up and graph.rules_of(policy.id):
            users[policy.listener_id] = None
    answer["listeners"] = [{"id": each} for each in users]
    answer["members"] = [own(each) for each in graph.members_of(pool.id)]
    monitor = graph.healthmonitor_of(pool.id)
    if monitor is not None:
        answer["healthmonitor"] = own(monitor)
    return answer


_STATE = ("id", "name", "operating_status", "provisioning_status")


def _state(thing: Resource, *also: str) -> Json:
    return {name: getattr(thing, name) for name in (*_STATE, *also)}


def statuses(graph: LoadBalancerGraph) -> Json:
    """The status tree: listeners, the pools they use, and what belongs to those."""
    return _state(graph.load_balancer) | {
        "listeners": [
            _state(listener) | {"pools": [_pool_state(graph, pool) for pool in _pools_of(graph, listener)]}
            for listener in graph.listeners.values()
        ]
    }


def _pools_of(graph: LoadBalancerGraph, listener: Listener) -> list[Pool]:
    ids = [listener.default_pool_id]
    for policy in graph.policies_of(listener.id):
        if policy.admin_state_up and graph.rules_of(policy.id):
            ids.append(policy.redirect_pool_id)
    return [graph.pools[each] for each in dict.fromkeys(ids) if each in graph.pools]


def _pool_state(graph: LoadBalancerGraph, pool: Pool) -> Json:
    monitor = graph.healthmonitor_of(pool.id)
    return _state(pool) | {
        "health_monitor": _state(monitor, "type") if monitor else None,
        "members": [_state(each, "address", "protocol_port") for each in graph.members_of(pool.id)],
    }
