# SPDX-License-Identifier: Apache-2.0
"""What hosts say of their amphorae: the newest report of each is kept, and what changed is told."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, select, update

from ottava.store import hosts, statistics, tables
from ottava.store.tables import TABLES
from ottava.store.upserts import upsert
from ottava.wire.heartbeat import Heartbeat, ListenerReport, Report


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one heartbeat.

    fresh    it was newer than what was known; an older one changes nothing
    full     something may have been missed: the host should send everything
    changed  ids of the load balancers of which it said something new, counters aside
    """

    fresh: bool
    full: bool = False
    changed: frozenset[str] = frozenset()


def record(conn: Connection, heartbeats: Iterable[Heartbeat]) -> list[Receipt]:
    """Take heartbeats, a receipt each. Reports of amphorae that do not belong on their host are passed over."""
    return [_record(conn, heartbeat) for heartbeat in heartbeats]


def _record(conn: Connection, heartbeat: Heartbeat) -> Receipt:
    last = conn.execute(_LAST, {"host": heartbeat.host}).one_or_none() or (0.0, 0)
    if (heartbeat.started, heartbeat.sequence) <= tuple(last):
        return Receipt(fresh=False)
    hosts.seen(conn, heartbeat.host, heartbeat.url, heartbeat.facts)
    conn.execute(_MARK, {"host": heartbeat.host, "run": heartbeat.started, "number": heartbeat.sequence})
    follows = (heartbeat.started, heartbeat.sequence - 1) == tuple(last)
    reports = {report.amphora_id: report for report in heartbeat.reports}
    mine = _belonging(conn, heartbeat.host, reports)
    changed = _keep(conn, heartbeat.host, mine)
    if not heartbeat.partial:
        changed |= _drop_silent(conn, heartbeat.host, reports)
    _count(conn, mine)
    return Receipt(fresh=True, full=heartbeat.partial and not follows, changed=frozenset(changed))


_LAST = (
    select(tables.host.c.started, tables.host.c.sequence)
    .where(tables.host.c.name == bindparam("host"))
    .with_for_update()
)
_MARK = (
    update(tables.host)
    .where(tables.host.c.name == bindparam("host"))
    .values(started=bindparam("run"), sequence=bindparam("number"))
)


def _belonging(conn: Connection, host: str, reports: Mapping[str, Report]) -> list[Report]:
    """The reports of amphorae that are on the books of this host, locked so that none is struck off meanwhile."""
    if not reports:
        return []
    rows = conn.execute(_BOOKS, {"host": host, "ids": list(reports)})
    return [reports[id] for id, loadbalancer_id in rows if reports[id].loadbalancer_id == loadbalancer_id]


_BOOKS = (
    select(tables.amphora.c.id, tables.amphora.c.loadbalancer_id)
    .where(tables.amphora.c.host == bindparam("host"), tables.amphora.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(tables.amphora.c.id)
    .with_for_update()
)


def _keep(conn: Connection, host: str, new: Sequence[Report]) -> set[str]:
    if not new:
        return set()
    found = conn.execute(_KNOWN, {"ids": [report.amphora_id for report in new]})
    known = {report.amphora_id: report for report in map(_report, found)}
    bare = [_without_counters(report) for report in new]
    changed = [report for report in bare if known.get(report.amphora_id) != report]
    upsert(conn, tables.report, [{**msgspec.structs.asdict(report), "host": host} for report in changed])
    return {report.loadbalancer_id for report in changed}


def _without_counters(report: Report) -> Report:
    listeners = {id: ListenerReport(each.status) for id, each in report.listeners.items()}
    return msgspec.structs.replace(report, listeners=listeners)


_COLUMNS = tuple(tables.report.c[name] for name in Report.__struct_fields__)
_KNOWN = select(*_COLUMNS).where(tables.report.c.amphora_id.in_(bindparam("ids", expanding=True)))


def _report(row: Any) -> Report:
    return Report(**dict(zip(Report.__struct_fields__, row, strict=True)))


def _drop_silent(conn: Connection, host: str, heard: Collection[str]) -> set[str]:
    """Forget the reports of amphorae of which a full heartbeat says nothing: they are not there any more."""
    rows = conn.execute(_ON_HOST, {"host": host}).all()
    silent = {id: loadbalancer_id for id, loadbalancer_id in rows if id not in heard}
    if silent:
        conn.execute(delete(tables.report).where(tables.report.c.amphora_id.in_(sorted(silent))))
    return set(silent.values())


_ON_HOST = select(tables.report.c.amphora_id, tables.report.c.loadbalancer_id).where(
    tables.report.c.host == bindparam("host")
)


def _count(conn: Connection, reports: Sequence[Report]) -> None:
    """Keep the counters of the listeners that exist."""
    if not any(report.listeners for report in reports):
        return
    existing = set(conn.execute(_LISTENERS, {"ids": [report.loadbalancer_id for report in reports]}).scalars())
    statistics.record(
        conn,
        [
            (listener_id, report.amphora_id, report.loadbalancer_id, each.counters)
            for report in reports
            for listener_id, each in report.listeners.items()
            if listener_id in existing
        ],
    )


_LISTENERS = select(TABLES["listener"].c.id).where(
    TABLES["listener"].c.loadbalancer_id.in_(bindparam("ids", expanding=True))
)


def reports(conn: Connection, loadbalancer_id: str) -> list[Report]:
    """The newest report of each amphora of a load balancer, counters left out, by amphora."""
    return [_report(row) for row in conn.execute(_OF, {"id": loadbalancer_id})]


_OF = select(*_COLUMNS).where(tables.report.c.loadbalancer_id == bindparam("id")).order_by(tables.report.c.amphora_id)
