# SPDX-License-Identifier: Apache-2.0
"""Single resources: written, read, changed and removed, the same way for every declared one."""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Delete, Select, Update, bindparam, delete, select, update
from sqlalchemy import insert as insert_into

from ottava.model.graph import RESOURCES
from ottava.model.load_balancer import LoadBalancer
from ottava.model.resource import Declared, Resource
from ottava.store import tables
from ottava.store.engine import clock
from ottava.store.tables import CROSS_REFERENCES, TABLES, stored, table_of

R = TypeVar("R", bound=Resource)
D = TypeVar("D", bound=Declared)


def insert_many(conn: Connection, resources: Iterable[Resource], done: bool = False) -> None:
    """Write new resources, in whatever order they come.

    A new load balancer is at its own generation (at least 1), and due at once, unless that wish is `done`.
    """
    by_kind: dict[str, list[Resource]] = {}
    for resource in resources:
        by_kind.setdefault(resource.kind.name, []).append(resource)
    for name in RESOURCES:
        if name in by_kind:
            conn.execute(_insert(name), [_row(resource) for resource in by_kind[name]])
    for resource in by_kind.get("loadbalancer", ()):
        generation = max(1, resource.generation)
        values = {"id": resource.id, "generation": generation, "observed": generation if done else 0}
        conn.execute(_DONE_WORK if done else _FIRST_WORK, values)
    _insert_tags(conn, [resource for group in by_kind.values() for resource in group if resource.tags])


def insert(conn: Connection, resource: Resource) -> None:
    """Write one new resource; see `insert_many`."""
    insert_many(conn, (resource,))


_FIRST_WORK = insert_into(tables.work).values(
    loadbalancer_id=bindparam("id"),
    generation=bindparam("generation"),
    observed_generation=bindparam("observed"),
    due_at=clock(),
    epoch=0,
    attempts=0,
)
_DONE_WORK = _FIRST_WORK.values(due_at=None)


@functools.cache
def _insert(kind: str) -> Any:
    return insert_into(TABLES[kind])


def _row(resource: Resource) -> dict[str, object]:
    row = msgspec.structs.asdict(resource)
    del row["tags"]
    return row


def tree_of(resource: Resource) -> str:
    """The id of the load balancer whose tree the resource is in."""
    return str(getattr(resource, "loadbalancer_id", resource.id))


def _insert_tags(conn: Connection, resources: Sequence[Resource]) -> None:
    rows = [
        {"resource_id": resource.id, "tag": tag, "loadbalancer_id": tree_of(resource)}
        for resource in resources
        for tag in sorted(set(resource.tags))
    ]
    if rows:
        conn.execute(insert_into(tables.tag), rows)


def build(cls: type[D], row: Iterable[Any], tags: tuple[str, ...] = ()) -> D:
    """The resource whose stored columns begin `row`."""
    values: dict[str, Any] = dict(zip(stored(cls), row, strict=False))
    if tags:
        values["tags"] = tags
    return cls(**values)


def get(conn: Connection, cls: type[R], id: str) -> R | None:
    """The resource, or None."""
    row = conn.execute(_select(cls), {"id": id}).one_or_none()
    if row is None:
        return None
    return build(cls, row, tuple(conn.execute(_TAGS, {"id": id}).scalars()))


_TAGS = select(tables.tag.c.tag).where(tables.tag.c.resource_id == bindparam("id")).order_by(tables.tag.c.tag)


@functools.cache
def _select(cls: type[Resource]) -> Select[Any]:
    table = table_of(cls)
    return select(table).where(table.c.id == bindparam("id"))


class Place(NamedTuple):
    """Where a resource belongs: all that must be known of what something is created below."""

    project_id: str
    loadbalancer_id: str


def place(conn: Connection, cls: type[Resource], id: str) -> Place | None:
    """Where the resource belongs, None when there is none such."""
    row = conn.execute(_place(cls), {"id": id}).one_or_none()
    return Place(*row) if row else None


@functools.cache
def _place(cls: type[Resource]) -> Select[Any]:
    column = table_of(cls).c
    tree = column.id if cls is LoadBalancer else column.loadbalancer_id
    return select(column.project_id, tree).where(column.id == bindparam("id"))


def change(conn: Connection, cls: type[Resource], id: str, values: Mapping[str, object]) -> bool:
    """Set the named attributes of a resource; False when there is none such."""
    columns = {name: value for name, value in values.items() if name != "tags"}
    if columns:
        statement = _update(cls, frozenset(columns))
        found = conn.execute(statement, {"of_id": id, **columns}).rowcount == 1
    else:
        found = conn.execute(_select(cls), {"id": id}).first() is not None
    if found and "tags" in values:
        _replace_tags(conn, cls, id, values["tags"])
    return found


@functools.cache
def _update(cls: type[Resource], names: frozenset[str]) -> Update:
    table = table_of(cls)
    return update(table).where(table.c.id == bindparam("of_id")).values({name: bindparam(name) for name in names})


def _replace_tags(conn: Connection, cls: type[Resource], id: str, tags: object) -> None:
    conn.execute(_delete_tags(), {"ids": [id]})
    resource = get(conn, cls, id)
    if resource is not None and isinstance(tags, Iterable):
        _insert_tags(conn, [msgspec.structs.replace(resource, tags=tuple(tags))])


@functools.cache
def _delete_tags() -> Delete:
    return delete(tables.tag).where(tables.tag.c.resource_id.in_(bindparam("ids", expanding=True)))


def remove(conn: Connection, cls: type[Resource], ids: Collection[str]) -> None:
    """Delete resources with all below them. Listeners and policies that named a removed pool name none.

    Of a load balancer only the resources go: see graphs.forget.
    """
    if not ids:
        return
    wanted = list(ids)
    for child in RESOURCES.values():
        if child.kind.parent == f"{cls.kind.name}_id":
            column = table_of(child).c[child.kind.parent]
            remove(conn, child, conn.execute(select(table_of(child).c.id).where(column.in_(wanted))).scalars().all())
    conn.execute(_delete_tags(), {"ids": wanted})
    if cls.kind.name == "pool":
        _drop_references(conn, wanted)
    if cls.kind.name == "listener":
        conn.execute(delete(tables.statistics).where(tables.statistics.c.listener_id.in_(wanted)))
    if cls is LoadBalancer:
        conn.execute(delete(tables.work).where(tables.work.c.loadbalancer_id.in_(wanted)))
    conn.execute(delete(table_of(cls)).where(table_of(cls).c.id.in_(wanted)))


def _drop_references(conn: Connection, pool_ids: Sequence[str]) -> None:
    for name, columns in CROSS_REFERENCES.items():
        for column in columns:
            table = TABLES[name]
            conn.execute(update(table).where(table.c[column].in_(pool_ids)).values({column: None}))
