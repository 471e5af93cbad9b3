# SPDX-License-Identifier: Apache-2.0
"""Amphorae on the books: which load balancer is served where."""

import uuid
from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, bindparam, delete, select, update

from ottava.model.amphora import Amphora
from ottava.store import statistics, tables
from ottava.store.engine import timestamp
from ottava.store.upserts import insert_missing

STOPPED = "FAILOVER_STOPPED"
_HOST = tables.amphora.c.host
_COLUMNS = tuple(tables.amphora.c[name] for name in Amphora.__struct_fields__)
_OF = (
    select(*_COLUMNS)
    .where(tables.amphora.c.loadbalancer_id == bindparam("id"))
    .order_by(tables.amphora.c.created_at, tables.amphora.c.id)
)


def place(conn: Connection, amphora: Amphora) -> None:
    """Write down a new amphora, if it is not on the books yet; `created_at` is filled in when it is empty."""
    row = msgspec.structs.asdict(amphora)
    insert_missing(conn, tables.amphora, {**row, "created_at": amphora.created_at or timestamp()})


def forget(conn: Connection, id: str) -> None:
    """Strike an amphora off the books; what it had counted stays in the statistics."""
    conn.execute(select(tables.amphora.c.id).where(tables.amphora.c.id == id).with_for_update())
    conn.execute(delete(tables.report).where(tables.report.c.amphora_id == id))
    statistics.fold(conn, id)
    conn.execute(delete(tables.amphora).where(tables.amphora.c.id == id))


def replace_all(conn: Connection, loadbalancer_id: str) -> None:
    """Put a new amphora on the books in place of those of a load balancer that nobody carries out."""
    for each in of(conn, loadbalancer_id):
        forget(conn, each.id)
    place(conn, Amphora(id=str(uuid.uuid4()), loadbalancer_id=loadbalancer_id, host=""))


def set_status(conn: Connection, ids: Collection[str], status: str) -> None:
    """Write the status of amphorae: ALLOCATED, ERROR or PENDING_DELETE."""
    conn.execute(update(tables.amphora).where(tables.amphora.c.id.in_(sorted(ids))).values(status=status))


def mark_lost(conn: Connection, silent: Collection[str], replace: Collection[str]) -> None:
    """Write the statuses of amphorae by the hosts that were not heard of for too long, and those of them whose
    amphorae are to be replaced; where the host was heard of again, ALLOCATED. One that is to be removed stays so."""
    held = set(silent) - set(replace)
    for status, on in (("ERROR", _HOST.in_(replace)), (STOPPED, _HOST.in_(held)), ("ALLOCATED", _HOST.not_in(silent))):
        others = {"ALLOCATED", "ERROR", STOPPED} - {status}
        conn.execute(
            update(tables.amphora).where(on, tables.amphora.c.status.in_(sorted(others))).values(status=status)
        )


def of(conn: Connection, loadbalancer_id: str) -> list[Amphora]:
    """The amphorae of one load balancer, in order of creation."""
    return [_amphora(row) for row in conn.execute(_OF, {"id": loadbalancer_id})]


def on_host(conn: Connection, host: str) -> list[Amphora]:
    """The amphorae that belong on one host."""
    statement = select(*_COLUMNS).where(tables.amphora.c.host == host).order_by(tables.amphora.c.id)
    return [_amphora(row) for row in conn.execute(statement)]


def _amphora(row: object) -> Amphora:
    return Amphora(**dict(zip(Amphora.__struct_fields__, row, strict=True)))  # type: ignore[call-overload]


def all_ids(conn: Connection) -> set[str]:
    """The ids of every amphora on the books."""
    return set(conn.execute(select(tables.amphora.c.id)).scalars())
