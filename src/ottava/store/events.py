# SPDX-License-Identifier: Apache-2.0
"""Events of load balancers: the newest are kept, and go with the load balancer."""

import secrets
import time
import uuid
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select

from ottava.model.event import Event
from ottava.store.engine import timestamp
from ottava.store.tables import event

LONGEST = 2000
"""Characters of a message; what is longer is cut."""
PRUNED_EVERY = 16
"""Generations between two looks whether a load balancer has too many."""


def new(
    loadbalancer_id: str,
    what: str,
    generation: int,
    message: str,
    *,
    of: tuple[str, str] | None = None,
    user_id: str = "",
    request_id: str = "",
) -> Event:
    """An event that happens now. of: the kind and id of the object, where it is not the load balancer itself."""
    resource_type, resource_id = of or ("loadbalancer", loadbalancer_id)
    return Event(
        id=_id(),
        loadbalancer_id=loadbalancer_id,
        created_at=timestamp(),
        what=what,
        resource_type=resource_type,
        resource_id=resource_id,
        generation=generation,
        user_id=user_id or None,
        request_id=request_id or None,
        message=message[:LONGEST],
    )


def _id() -> str:
    """An id that is greater than those made before it (RFC 9562, version 7): its order is that of time."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)))


def record(conn: Connection, events: Iterable[Event], keep: int) -> None:
    """Write events in one statement; none where none are to be kept."""
    rows = [msgspec.structs.asdict(each) for each in events] if keep else []
    if rows:
        conn.execute(_INSERT, rows)


def prune(conn: Connection, loadbalancer_id: str, keep: int) -> None:
    """Forget all events of a load balancer but the newest."""
    values: dict[str, object] = {"of": loadbalancer_id, "keep": keep}
    oldest = conn.execute(_OLDEST, values).scalar()
    if oldest is not None:
        conn.execute(_PRUNE, {"of": loadbalancer_id, "upto": oldest})


_INSERT = insert(event)
_MINE = event.c.loadbalancer_id == bindparam("of")
_OLDEST = select(event.c.id).where(_MINE).order_by(event.c.id.desc()).limit(1).offset(bindparam("keep"))
_PRUNE = delete(event).where(_MINE, event.c.id <= bindparam("upto"))
