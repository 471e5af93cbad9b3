# SPDX-License-Identifier: Apache-2.0
"""Hosts: who runs an agent, and when it was last heard of."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select, update

from ottava.model.amphora import Host
from ottava.store import tables
from ottava.store.engine import clock
from ottava.store.upserts import insert_missing
from ottava.wire.heartbeat import Facts

_COLUMNS = (tables.host.c.name, tables.host.c.url, tables.host.c.last_seen, tables.host.c.facts)
_SEEN = (
    update(tables.host)
    .where(tables.host.c.name == bindparam("of_name"))
    .values(url=bindparam("url"), address=bindparam("address"), facts=bindparam("facts"), last_seen=clock())
)


def seen(conn: Connection, name: str, url: str, facts: Mapping[str, object] | Facts) -> None:
    """Write down that a host was heard of just now."""
    plain = msgspec.to_builtins(facts)
    values = {"of_name": name, "url": url, "address": _address(url), "facts": plain}
    if conn.execute(_SEEN, values).rowcount != 1:
        row = {"name": name, "url": url, "facts": plain, "last_seen": 0.0, "started": 0.0, "sequence": 0}
        insert_missing(conn, tables.host, row)
        conn.execute(_SEEN, values)


def _address(url: str) -> str | None:
    """The IP address in a URL; None where a name stands."""
    host = urlsplit(url).hostname or ""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def reprieve(conn: Connection) -> None:
    """Let every host count as heard of just now: whoever is silent is silent from here on."""
    conn.execute(update(tables.host).values(last_seen=clock()))


def all(conn: Connection) -> list[Host]:
    """Every host, by name."""
    return [Host(name=row[0], url=row[1], last_seen=row[2], facts=row[3]) for row in conn.execute(_ALL)]


_ALL = select(*_COLUMNS).order_by(tables.host.c.name)


def get(conn: Connection, name: str) -> Host | None:
    """One host, or None."""
    row = conn.execute(select(*_COLUMNS).where(tables.host.c.name == name)).one_or_none()
    return Host(name=row[0], url=row[1], last_seen=row[2], facts=row[3]) if row else None


def loads(conn: Connection) -> dict[str, int]:
    """How many amphorae belong on each host that has any."""
    statement = select(tables.amphora.c.host, func.count()).group_by(tables.amphora.c.host)
    return dict(conn.execute(statement).tuples().all())


def forget(conn: Connection, name: str) -> None:
    """Strike a host off the books."""
    conn.execute(delete(tables.host).where(tables.host.c.name == name))
