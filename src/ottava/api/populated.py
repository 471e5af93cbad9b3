# SPDX-License-Identifier: Apache-2.0
"""Reading the body of a single-call create into a whole graph: pools are hoisted, references by name resolved."""

import uuid
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from ottava.api import forms, tree
from ottava.api.members import check_distinct, without_members
from ottava.model import errors
from ottava.model.attribute import Create, attributes
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Child, Resource
from ottava.rules import consistency
from ottava.rules.deployment import Deployment
from ottava.rules.mutability import CREATE
from ottava.store.engine import timestamp

C = TypeVar("C", bound=Child)
Given = Mapping[str, object]

REFERENCE = frozenset(("name", "admin_state_up", "tls_enabled"))
"""A pool in place of which nothing but these keys stands is one that is defined elsewhere in the request."""


ORDER = (Pool, HealthMonitor, Member, Listener, L7Policy, L7Rule)
"""In which objects are checked: of several faults, the one is reported that clients know from elsewhere."""


class Populated:
    """A load balancer being put together from one body. Paths say where in the body an object stands."""

    def __init__(self, load_balancer: LoadBalancer, given: Given, deployment: Deployment) -> None:
        """Raises what forms raise, UndefinedPool, and what consistency raises."""
        self.graph = LoadBalancerGraph(load_balancer=load_balancer, generation=1)
        self._deployment = deployment
        self._root = (LoadBalancer.kind.name,)
        self._pools: dict[str, str] = {}
        listeners = _objects(given, "listeners")
        definitions = _definitions(_objects(given, "pools"), listeners)
        for path, each in definitions:
            self._pool(each, (*self._root, *path))
        for each in listeners:
            self._listener(each, (*self._root, "listeners"))
        check_distinct(self.graph.members.values())
        around = without_members(self.graph)
        for cls in ORDER:
            for thing in getattr(self.graph, cls.kind.plural).values():
                consistency.check(around, thing, deployment)

    def _values(self, cls: type[Resource], given: Given, path: tuple[str, ...]) -> forms.Values:
        form = forms.create_form(cls, inside=True)._replace(argument=LoadBalancer.kind.argument)
        forms.check_known(form, given, path)
        return forms.create(form, given)

    def _make(self, cls: type[C], values: forms.Values, **ties: str) -> C:
        balancer = self.graph.load_balancer
        values = {
            **values,
            "id": str(uuid.uuid4()),
            "project_id": balancer.project_id,
            "loadbalancer_id": balancer.id,
            "created_at": timestamp(),
            "generation": 1,
            **ties,
        }
        return consistency.complete(self.graph, cls(**values), self._deployment)

    def _pool(self, given: Given, path: tuple[str, ...]) -> None:
        name = given.get("name") or ""
        for attribute, declared in attributes(Pool).items():
            if declared.create is Create.REQUIRED and given.get(attribute) is None:
                reason = f"Pool definition for '{name}' missing required attribute: {attribute}"
                raise errors.UndefinedPool(reason=reason)
        pool = self._make(Pool, self._values(Pool, given, path))
        self.graph.pools[pool.id] = pool
        self._pools[pool.name] = pool.id
        monitor = given.get("healthmonitor")
        if monitor is not None:
            values = self._values(HealthMonitor, _object("healthmonitor", monitor), (*path, "healthmonitor"))
            made = self._make(HealthMonitor, values, pool_id=pool.id)
            self.graph.healthmonitors[made.id] = made
        for each in _objects(given, "members"):
            member = self._make(Member, self._values(Member, each, (*path, "members")), pool_id=pool.id)
            self.graph.members[member.id] = member

    def _listener(self, given: Given, path: tuple[str, ...]) -> None:
        values = self._values(Listener, given, path)
        if given.get("default_pool") is not None:
            values["default_pool_id"] = self._named(given["default_pool"], "default_pool")
        listener = self._make(Listener, values)
        self.graph.listeners[listener.id] = listener
        for each in _objects(given, "l7policies"):
            self._policy(each, (*path, "l7policies"), listener)

    def _policy(self, given: Given, path: tuple[str, ...], listener: Listener) -> None:
        values = self._values(L7Policy, given, path)
        if given.get("redirect_pool") is not None:
            values["redirect_pool_id"] = self._named(given["redirect_pool"], "redirect_pool")
        policy = self._make(L7Policy, values, listener_id=listener.id)
        change, moved = tree.placed(self.graph, tree.Change(CREATE, policy))
        for _, id, position in moved:
            self.graph.l7policies[id] = msgspec.structs.replace(self.graph.l7policies[id], **position)
        assert isinstance(change.thing, L7Policy)
        self.graph.l7policies[policy.id] = change.thing
        for each in _objects(given, "rules"):
            rule = self._make(L7Rule, self._values(L7Rule, each, (*path, "rules")), l7policy_id=policy.id)
            self.graph.rules[rule.id] = rule

    def _named(self, pool: object, field: str) -> str:
        name = str(_object(field, pool).get("name"))
        if name not in self._pools:
            raise errors.UndefinedPool(reason=f"Pool '{name}' was referenced but no full definition was found.")
        return self._pools[name]


def _definitions(pools: Sequence[Given], listeners: Sequence[Given]) -> list[tuple[tuple[str, ...], Given]]:
    """Every pool that is defined anywhere, and where it stands. Raises UndefinedPool, BadValue."""
    found: list[tuple[tuple[str, ...], Given]] = [(("pools",), each) for each in pools]
    for listener in listeners:
        found += _inside(listener, "default_pool", ("listeners", "default_pool"))
        for policy in _objects(listener, "l7policies"):
            found += _inside(policy, "redirect_pool", ("listeners", "l7policies", "redirect_pool"))
    names = [_name(each) for _, each in found]
    if len(set(names)) < len(names):
        raise errors.UndefinedPool(reason="Pool names must be unique when creating a fully populated loadbalancer.")
    return found


def _inside(holder: Given, key: str, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Given]]:
    if holder.get(key) is None:
        return []
    pool = _object(key, holder[key])
    if not _name(pool):
        raise errors.UndefinedPool(reason="Pools must be named when creating a fully populated loadbalancer.")
    return [(path, pool)] if set(pool) - REFERENCE else []


def _name(pool: Given) -> str:
    name = pool.get("name")
    if name is not None and not isinstance(name, str):
        raise errors.BadValue(field="name", value=name, reason="Value should be string")
    return name or ""


def _objects(holder: Given, key: str) -> list[Given]:
    """The objects in a list of a body; null is an empty list. Raises BadValue."""
    listed = holder.get(key)
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise errors.BadValue(field=key, value=listed, reason="Value should be a list of objects")
    return [_object(key, each) for each in listed]


def _object(key: str, value: object) -> Given:
    if not isinstance(value, dict):
        raise errors.BadValue(field=key, value=value, reason="Value should be an object")
    return value
