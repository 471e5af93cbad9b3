# SPDX-License-Identifier: Apache-2.0
"""Whole load balancers: loaded, and brought forward when a generation of their wish is fulfilled."""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, case, delete, literal, select, union_all, update

from ottava.model import status
from ottava.model.graph import RESOURCES, LoadBalancerGraph
from ottava.model.load_balancer import LoadBalancer
from ottava.model.resource import Resource
from ottava.store import amphorae, resources, tables
from ottava.store.tables import TABLES, table_of

NEEDS = {"member": "pool", "healthmonitor": "pool", "l7policy": "listener", "rule": "l7policy"}
"""What must be in a graph before it can hold objects of a kind: its parents."""

Change = tuple[str, str, str]
"""The name of a kind, an id, and the status it gets."""


def load(
    conn: Connection, loadbalancer_id: str, lock: bool = False, kinds: frozenset[str] | None = None
) -> LoadBalancerGraph | None:
    """The load balancer with its tree and amphorae, None when there is none such.

    lock   hold its row until the transaction ends: everybody who changes the tree takes this lock
    kinds  load only these kinds of children ("amphora" is one); all if None
    """
    row = conn.execute(_load_balancer(lock), {"id": loadbalancer_id}).one_or_none()
    if row is None:
        return None
    generation, observed = conn.execute(_GENERATIONS, {"id": loadbalancer_id}).one()
    tags: dict[str, list[str]] = {}
    for resource_id, tag in conn.execute(_TAGS, {"id": loadbalancer_id}):
        tags.setdefault(resource_id, []).append(tag)
    graph = LoadBalancerGraph(
        load_balancer=resources.build(LoadBalancer, row, tuple(tags.get(loadbalancer_id, ()))),
        generation=generation,
        observed_generation=observed,
    )
    for name, cls in RESOURCES.items():
        if cls is not LoadBalancer and _worth_loading(graph, name, kinds):
            rows = conn.execute(_children(cls), {"id": loadbalancer_id})
            setattr(graph, cls.kind.plural, {row.id: _child(cls, row, tags) for row in rows})
    if kinds is None or "amphora" in kinds:
        graph.amphorae = {each.id: each for each in amphorae.of(conn, loadbalancer_id)}
    return graph


def _worth_loading(graph: LoadBalancerGraph, kind: str, kinds: frozenset[str] | None) -> bool:
    if kinds is not None and kind not in kinds:
        return False
    parent = NEEDS.get(kind)
    known = parent is not None and (kinds is None or parent in kinds)
    return not known or bool(getattr(graph, RESOURCES[str(parent)].kind.plural))


def _child(cls: type[Resource], row: Any, tags: dict[str, list[str]]) -> Resource:
    found = tags.get(row[0]) if tags else None
    return resources.build(cls, row, tuple(found) if found else ())


@functools.cache
def _load_balancer(lock: bool) -> Select[Any]:
    table = table_of(LoadBalancer)
    statement = select(table).where(table.c.id == bindparam("id"))
    return statement.with_for_update() if lock else statement


_GENERATIONS = select(tables.work.c.generation, tables.work.c.observed_generation).where(
    tables.work.c.loadbalancer_id == bindparam("id")
)
_TAGS = (
    select(tables.tag.c.resource_id, tables.tag.c.tag)
    .where(tables.tag.c.loadbalancer_id == bindparam("id"))
    .order_by(tables.tag.c.resource_id, tables.tag.c.tag)
)


@functools.cache
def _children(cls: type[Resource]) -> Select[Any]:
    table = table_of(cls)
    return select(table).where(table.c.loadbalancer_id == bindparam("id")).order_by(table.c.created_at, table.c.id)


def loadbalancer_of(conn: Connection, cls: type[Resource], id: str) -> str | None:
    """The id of the load balancer whose tree the object is in, None when there is no such object."""
    found: str | None = conn.execute(_tree_of(cls), {"id": id}).scalar()
    return found


@functools.cache
def _tree_of(cls: type[Resource]) -> Select[Any]:
    table = table_of(cls)
    return select(table.c.id if cls is LoadBalancer else table.c.loadbalancer_id).where(table.c.id == bindparam("id"))


def settle(conn: Connection, loadbalancer_id: str, generation: int) -> None:
    """Write down that the wish of `generation` is fulfilled.

    Objects that last changed at or below it become ACTIVE without a fault; those that were to be deleted
    are removed with all below them, and the policies of a listener that lost one are renumbered from 1.
    The load balancer's own row is never removed here.
    """
    if conn.execute(_load_balancer(True), {"id": loadbalancer_id}).first() is None:
        return
    active: dict[str, list[str]] = {}
    gone: dict[str, list[str]] = {}
    for kind, id, state in conn.execute(_UNSETTLED, {"id": loadbalancer_id, "generation": generation}):
        (gone if state == status.PENDING_DELETE else active).setdefault(kind, []).append(id)
    for kind, ids in active.items():
        conn.execute(_activate(kind), {"ids": ids})
    _remove(conn, gone)


def conclude(conn: Connection, changes: Iterable[Change], generation: int) -> None:
    """What `settle` does, for changes that nobody has to carry out: nothing becomes pending, and what is to be deleted
    is gone, a load balancer with everything kept about it."""
    gone: dict[str, list[str]] = {}
    active: list[Change] = []
    for kind, id, state in changes:
        if state == status.PENDING_DELETE:
            gone.setdefault(kind, []).append(id)
        else:
            active.append((kind, id, status.ACTIVE))
    for id in gone.get(LoadBalancer.kind.name, ()):
        return forget(conn, id)
    set_provisioning(conn, active, generation)
    return _remove(conn, gone)


def _remove(conn: Connection, gone: Mapping[str, Sequence[str]]) -> None:
    """Remove objects by kind; the policies that stay are numbered from 1 again."""
    listeners = _listeners_of(conn, gone.get("l7policy", ()))
    for kind, cls in RESOURCES.items():
        if cls is not LoadBalancer:
            resources.remove(conn, cls, gone.get(kind, ()))
    for listener_id in listeners:
        _renumber(conn, listener_id)


def _unsettled(kind: str) -> Select[Any]:
    table = TABLES[kind]
    tree = table.c.id if kind == "loadbalancer" else table.c.loadbalancer_id
    return select(literal(kind), table.c.id, table.c.provisioning_status).where(
        tree == bindparam("id"),
        table.c.generation <= bindparam("generation"),
        table.c.provisioning_status != status.ACTIVE,
    )


_UNSETTLED = union_all(*(_unsettled(kind) for kind in TABLES))


@functools.cache
def _activate(kind: str) -> Update:
    return _these(kind).values(provisioning_status=status.ACTIVE, fault=None)


def _listeners_of(conn: Connection, policy_ids: Sequence[str]) -> set[str]:
    if not policy_ids:
        return set()
    table = TABLES["l7policy"]
    return set(conn.execute(select(table.c.listener_id).where(table.c.id.in_(policy_ids))).scalars())


def _renumber(conn: Connection, listener_id: str) -> None:
    table = TABLES["l7policy"]
    order = (table.c.position, table.c.created_at, table.c.id)
    rows = conn.execute(select(table.c.id, table.c.position).where(table.c.listener_id == listener_id).order_by(*order))
    for position, (id, old) in enumerate(rows.all(), start=1):
        if position != old:
            conn.execute(update(table).where(table.c.id == id).values(position=position))


def forget(conn: Connection, loadbalancer_id: str) -> None:
    """Delete the load balancer, its tree and everything kept about it."""
    conn.execute(_load_balancer(True), {"id": loadbalancer_id})
    # Amphorae first: nobody reports of one that is off the books. Then children before parents.
    for table in (tables.amphora, *reversed(tables.metadata.sorted_tables)):
        if "loadbalancer_id" in table.c:
            conn.execute(delete(table).where(table.c.loadbalancer_id == loadbalancer_id))
    conn.execute(delete(TABLES["loadbalancer"]).where(TABLES["loadbalancer"].c.id == loadbalancer_id))


def blame(conn: Connection, loadbalancer_id: str, generation: int, fault: str, ids: Collection[str]) -> None:
    """Write down that the wish of `generation` cannot be fulfilled, and why.

    The load balancer, the objects named by `ids`, and every other object that waits for this wish become
    ERROR with `fault`. Objects that changed since are left alone; those that are to be deleted keep that
    wish and get the fault. `settle` heals them all.
    """
    if conn.execute(_load_balancer(True), {"id": loadbalancer_id}).first() is None:
        return
    values = {"of_id": loadbalancer_id, "upto": generation, "words": fault, "ids": [loadbalancer_id, *ids]}
    for kind in TABLES:
        conn.execute(_blame(kind), values)


@functools.cache
def _blame(kind: str) -> Update:
    table = TABLES[kind]
    tree = table.c.id if kind == "loadbalancer" else table.c.loadbalancer_id
    state = table.c.provisioning_status
    named = table.c.id.in_(bindparam("ids", expanding=True))
    waits = state.in_((status.PENDING_CREATE, status.PENDING_UPDATE, status.PENDING_DELETE))
    return (
        update(table)
        .where(tree == bindparam("of_id"), table.c.generation <= bindparam("upto"), named | waits)
        .values(
            provisioning_status=case((state == status.PENDING_DELETE, state), else_=status.ERROR),
            fault=bindparam("words"),
        )
    )


def set_operating(conn: Connection, changes: Iterable[Change]) -> None:
    """Write operating statuses; objects that are gone are passed over."""
    for (kind, state), ids in _grouped(changes).items():
        conn.execute(_set_operating(kind), {"ids": sorted(ids), "state": state})


def set_provisioning(conn: Connection, changes: Iterable[Change], generation: int) -> None:
    """Write provisioning statuses, as of `generation`; the fault of what is not in ERROR goes away."""
    for (kind, state), ids in _grouped(changes).items():
        values = {"ids": sorted(ids), "state": state, "as_of": generation}
        conn.execute(_set_provisioning(kind, state == status.ERROR), values)


def _grouped(changes: Iterable[Change]) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for kind, id, state in changes:
        groups.setdefault((kind, state), []).append(id)
    return dict(sorted(groups.items()))


@functools.cache
def _these(kind: str) -> Update:
    return update(TABLES[kind]).where(TABLES[kind].c.id.in_(bindparam("ids", expanding=True)))


@functools.cache
def _set_operating(kind: str) -> Update:
    return _these(kind).values(operating_status=bindparam("state"))


@functools.cache
def _set_provisioning(kind: str, faulty: bool) -> Update:
    statement = _these(kind).values(provisioning_status=bindparam("state"), generation=bindparam("as_of"))
    return statement if faulty else statement.values(fault=None)
