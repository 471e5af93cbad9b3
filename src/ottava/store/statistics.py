# SPDX-License-Identifier: Apache-2.0
"""What went through: totals of each listener on each amphora, read as sums over the amphorae."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, func, select

from ottava.store import tables
from ottava.store.upserts import upsert
from ottava.wire.heartbeat import Counters

GONE = ""
"""Stands in place of an amphora's id for all that are no more."""

_COUNTERS = tuple(tables.statistics.c[name] for name in Counters.__struct_fields__)
Total = tuple[str, str, str, Counters]
"""The ids of a listener, an amphora and their load balancer, and the totals."""


def record(conn: Connection, totals: Iterable[Total]) -> None:
    """Write totals as reported; later ones take the place of earlier ones."""
    upsert(conn, tables.statistics, [_row(*total) for total in sorted(totals, key=lambda total: total[:2])])


def _row(listener_id: str, amphora_id: str, loadbalancer_id: str, counters: Counters) -> Mapping[str, object]:
    ids = {"listener_id": listener_id, "amphora_id": amphora_id, "loadbalancer_id": loadbalancer_id}
    return {**ids, **msgspec.structs.asdict(counters)}


def of_listener(conn: Connection, listener_id: str) -> Counters:
    """The sums of one listener, zeros when nothing was reported."""
    return _sum(conn, tables.statistics.c.listener_id == listener_id)


def of_load_balancer(conn: Connection, loadbalancer_id: str) -> Counters:
    """The sums over every listener of one load balancer."""
    return _sum(conn, tables.statistics.c.loadbalancer_id == loadbalancer_id)


def of_amphora(conn: Connection, amphora_id: str) -> list[Total]:
    """The totals of one amphora, by listener."""
    rows = conn.execute(_BY_LISTENER, {"id": amphora_id}).all() if amphora_id != GONE else []
    return [(listener_id, amphora_id, tree_id, Counters(*values)) for listener_id, tree_id, *values in rows]


def _sum(conn: Connection, condition: ColumnElement[bool]) -> Counters:
    row: Any = conn.execute(_SUMS.where(condition)).one()
    return Counters(*(int(value or 0) for value in row))


# Connections are open only where an amphora serves; what was counted stays counted.
_OPEN = case((tables.amphora.c.status == "ALLOCATED", tables.statistics.c.active_connections), else_=0)
_SUMS = select(func.sum(_OPEN), *(func.sum(column) for column in _COUNTERS[1:])).select_from(
    tables.statistics.outerjoin(tables.amphora, tables.amphora.c.id == tables.statistics.c.amphora_id)
)


def fold(conn: Connection, amphora_id: str) -> None:
    """Add what an amphora counted to the row of those that are gone; its connections are gone with it."""
    mine = conn.execute(_OF_AMPHORA, {"id": amphora_id}).all()
    for listener_id, loadbalancer_id, *values in mine:
        gone = conn.execute(_GONE, {"listener": listener_id}).one_or_none() or [0] * len(_COUNTERS)
        sums = Counters(*(old + new for old, new in zip(gone, values, strict=True)))
        counters = msgspec.structs.replace(sums, active_connections=0)
        upsert(conn, tables.statistics, [_row(listener_id, GONE, loadbalancer_id, counters)])
    conn.execute(delete(tables.statistics).where(tables.statistics.c.amphora_id == amphora_id))


_BY_LISTENER = (
    select(tables.statistics.c.listener_id, tables.statistics.c.loadbalancer_id, *_COUNTERS)
    .where(tables.statistics.c.amphora_id == bindparam("id"))
    .order_by(tables.statistics.c.listener_id)
)
_OF_AMPHORA = _BY_LISTENER.with_for_update()
_GONE = (
    select(*_COUNTERS)
    .where(tables.statistics.c.listener_id == bindparam("listener"), tables.statistics.c.amphora_id == GONE)
    .with_for_update()
)
