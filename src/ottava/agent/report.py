# SPDX-License-Identifier: Apache-2.0
"""What HAProxy's statistics say of listeners, pools and members. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping

from ottava.agent.runtime import Address, Row
from ottava.wire.heartbeat import Counters, ListenerReport, PoolReport

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LISTENER = re.compile(rf"{_UUID}\Z")
_POOL = re.compile(rf"{_UUID}:{_UUID}\Z")
_MEMBER_STATUS = {"UP": "UP", "DOWN": "DOWN", "DRAIN": "DRAIN", "NOLB": "DRAIN", "MAINT": "MAINT", "no": "no check"}


def listeners(rows: Iterable[Row], total: Callable[[str], Counters]) -> dict[str, ListenerReport]:
    """Listeners by id: FULL when there are as many connections as there may be. total(id) gives the counters."""
    return {
        row["pxname"]: ListenerReport(status="FULL" if _full(row) else "OPEN", counters=total(row["pxname"]))
        for row in rows
        if row["svname"] == "FRONTEND" and _LISTENER.match(row["pxname"])
    }


def pools(
    rows: Iterable[Row], wished: frozenset[Address], probed: Mapping[Address, bool | None]
) -> dict[str, PoolReport]:
    """Pools by "pool id:listener id", with the members that are `wished`: others are only finishing their requests.

    probed: what the agent's own health checks found, None while they have found nothing.
    """
    status: dict[str, str] = {}
    members: dict[str, dict[str, str]] = {}
    for row in rows:
        backend, server = row["pxname"], row["svname"]
        if not _POOL.match(backend) or server == "FRONTEND":
            continue
        if server == "BACKEND":
            status[backend] = "UP" if row["status"].startswith("UP") else "DOWN"
        elif (backend, server) in wished:
            members.setdefault(backend, {})[server] = _member(row, probed.get((backend, server)))
    return {name: PoolReport(status=status[name], members=members.get(name, {})) for name in status}


def _member(row: Row, probed: bool | None) -> str:
    status = _MEMBER_STATUS.get(row["status"].split(" ", 1)[0], "DOWN")
    if row["weight"] == "0" and status in {"UP", "no check"}:
        return "DRAIN"
    if status == "no check" and probed is not None:
        return "UP" if probed else "DOWN"
    return status


def _full(row: Row) -> bool:
    limit = int(row["slim"] or 0)
    return limit > 0 and int(row["scur"] or 0) >= limit
