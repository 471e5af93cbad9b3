# SPDX-License-Identifier: Apache-2.0
"""Quotas: the limits of projects, and room made for what is about to be created."""

import functools
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from ottava.model import errors
from ottava.model.graph import RESOURCES
from ottava.model.quota import UNLIMITED, Quota
from ottava.model.resource import Resource
from ottava.store.tables import quota, table_of
from ottava.store.upserts import insert_missing

KINDS: dict[str, type[Resource]] = {cls.kind.policy: cls for cls in RESOURCES.values()}
"""What is limited, by the names that Quota has for it."""

_NAMES = {cls.kind.name: name for name, cls in KINDS.items()} | {name: name for name in KINDS}
_FIELDS = Quota.__struct_fields__
_ROW = select(*(quota.c[name] for name in _FIELDS)).where(quota.c.project_id == bindparam("project"))
_LOCKED = _ROW.with_for_update()


def reserve(conn: Connection, project_id: str, wanted: Mapping[str, int], defaults: Mapping[str, int]) -> None:
    """Make sure that a project may have `wanted` more of each kind (by the kind's name or Quota's).

    Holds the project's row until the transaction ends, in which the objects must be inserted.
    defaults  the limits of projects that have none of their own; a kind that is absent is unlimited
    Raises QuotaMet (resource: the word of the first kind of which there would be too many).
    """
    limits = {name: limit for name, limit in _limits(conn, project_id, wanted, defaults, _ROW).items() if limit >= 0}
    if not limits:
        return
    for name, limit in _limits(conn, project_id, wanted, defaults, _LOCKED).items():
        if limit == UNLIMITED:
            continue
        more = sum(number for kind, number in wanted.items() if _NAMES[kind] == name)
        if more and used(conn, project_id, name) + more > limit:
            raise errors.QuotaMet(resource=KINDS[name].kind.word)


def _limits(
    conn: Connection, project_id: str, wanted: Mapping[str, int], defaults: Mapping[str, int], statement: Any
) -> dict[str, int]:
    row = conn.execute(statement, {"project": project_id}).one_or_none()
    if row is None:
        insert_missing(conn, quota, {"project_id": project_id})
        row = conn.execute(statement, {"project": project_id}).one()
    fallback = {_NAMES[kind]: limit for kind, limit in defaults.items() if kind in _NAMES}
    names = dict.fromkeys(_NAMES[kind] for kind in wanted)
    own = {name: getattr(row, name) for name in names}
    return {name: fallback.get(name, UNLIMITED) if own[name] is None else own[name] for name in names}


def used(conn: Connection, project_id: str, name: str) -> int:
    """How many objects of a kind (by Quota's name) a project has; those being deleted count."""
    return int(conn.execute(_count(name), {"project": project_id}).scalar_one())


@functools.cache
def _count(name: str) -> Any:
    table = table_of(KINDS[name])
    return select(func.count()).select_from(table).where(table.c.project_id == bindparam("project"))


def get(conn: Connection, project_id: str) -> Quota:
    """The limits of a project; None for each where the default holds."""
    row = conn.execute(_ROW, {"project": project_id}).one_or_none()
    return Quota(**dict(zip(_FIELDS, row, strict=True))) if row else Quota(project_id=project_id)


def locked(conn: Connection, project_id: str) -> Quota:
    """The same, of a project whose row nobody else changes before the transaction ends."""
    row = conn.execute(_LOCKED, {"project": project_id}).one_or_none()
    if row is None:
        insert_missing(conn, quota, {"project_id": project_id})
        row = conn.execute(_LOCKED, {"project": project_id}).one()
    return Quota(**dict(zip(_FIELDS, row, strict=True)))


def set(conn: Connection, project_id: str, values: Mapping[str, int | None]) -> Quota:
    """Set limits by Quota's names (None: the default again) and return them all."""
    insert_missing(conn, quota, {"project_id": project_id})
    if values:
        conn.execute(update(quota).where(quota.c.project_id == project_id).values(dict(values)))
    return get(conn, project_id)


def reset(conn: Connection, project_id: str) -> bool:
    """Bring every limit of a project back to the default; False when nothing is known of the project."""
    return conn.execute(delete(quota).where(quota.c.project_id == project_id)).rowcount == 1


def all(conn: Connection, project_id: str | None = None) -> list[Quota]:
    """The quotas of every project that ever created something or was given limits; of one only, if named."""
    statement = select(*(quota.c[name] for name in _FIELDS)).order_by(quota.c.project_id)
    if project_id is not None:
        statement = statement.where(quota.c.project_id == project_id)
    return [Quota(**dict(zip(_FIELDS, row, strict=True))) for row in conn.execute(statement)]
