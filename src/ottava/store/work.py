# SPDX-License-Identifier: Apache-2.0
"""What is due: leases on load balancers, so that no two workers ever reconcile the same one.

A lease empties `due_at`; whatever makes the load balancer due during the lease is thus seen when it
ends. A lease that ran out makes its load balancer due by itself: that is how the work of a dead worker
is taken over. `epoch` grows by one with each claim and fences whoever held it before.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Update, bindparam, case, func, select, update

from ottava.model import errors
from ottava.model.load_balancer import LoadBalancer
from ottava.store.engine import clock, reading, retrying
from ottava.store.tables import table_of, work


class Claim(msgspec.Struct, frozen=True):
    """A lease that was given.

    generation     of the load balancer when it was claimed
    attempts       failures since the last success
    failing_since  database time of the first of them, None if the last attempt succeeded
    """

    loadbalancer_id: str
    epoch: int
    generation: int
    owner: str
    attempts: int = 0
    failing_since: float | None = None


class WorkView(msgspec.Struct, frozen=True):
    """How the work on one load balancer stands. Times in seconds of the database's clock; `now` is that clock."""

    loadbalancer_id: str
    generation: int
    observed_generation: int
    due_at: float | None
    lease_owner: str | None
    lease_until: float | None
    epoch: int
    attempts: int
    failing_since: float | None
    error: str | None
    now: float


_MINE = (work.c.loadbalancer_id == bindparam("id"), work.c.epoch == bindparam("of_epoch"))
_FREE = {"lease_owner": None, "lease_until": None}


def touch(conn: Connection, loadbalancer_id: str, done: bool = False, known: int | None = None) -> int:
    """Count an accepted write: the generation grows by one and is returned; due at once, or observed already if it is
    `done`. The write is remembered by the name that `named` gave it. Raises NotFound.

    known  the generation as it is, if that was read under the lock of the load balancer
    """
    values = {"id": loadbalancer_id, "write": conn.get_execution_options().get("write")}
    if conn.execute(_DONE if done else _TOUCH, values).rowcount != 1:
        raise errors.NotFound(resource=LoadBalancer.kind.word, id=loadbalancer_id)
    if known is not None:
        return known + 1
    generation: int = conn.execute(_GENERATION, {"id": loadbalancer_id}).scalar_one()
    return generation


_TOUCH = (
    update(work)
    .where(work.c.loadbalancer_id == bindparam("id"))
    .values(generation=work.c.generation + 1, due_at=clock(), last_write=bindparam("write"))
)
_DONE = (
    update(work)
    .where(work.c.loadbalancer_id == bindparam("id"))
    # The expressions see the row as it was, but for MariaDB, which goes from left to right.
    .ordered_values(
        (work.c.due_at, None),
        (work.c.failing_since, None),
        (work.c.error, None),
        (work.c.observed_generation, work.c.generation + 1),
        (work.c.generation, work.c.generation + 1),
        (work.c.last_write, bindparam("write")),
    )
)
_GENERATION = select(work.c.generation).where(work.c.loadbalancer_id == bindparam("id"))


def named(conn: Connection, write: str) -> Connection:
    """The connection, whose accepted write has a name until the transaction ends."""
    return conn.execution_options(write=write)


def last_write(conn: Connection, loadbalancer_id: str) -> str | None:
    """The name of the newest accepted write: who is not sure whether a commit came through finds it here."""
    name: str | None = conn.execute(_LAST_WRITE, {"id": loadbalancer_id}).scalar()
    return name


_LAST_WRITE = select(work.c.last_write).where(work.c.loadbalancer_id == bindparam("id"))


def poke(conn: Connection, ids: Iterable[str]) -> None:
    """Make load balancers due at once, without a new wish."""
    wanted = sorted(set(ids))
    if wanted:
        conn.execute(update(work).where(work.c.loadbalancer_id.in_(wanted)).values(due_at=clock()))


def waiting(conn: Connection) -> set[str]:
    """The load balancers whose last attempt failed: they wait for something to get better."""
    return set(conn.execute(select(work.c.loadbalancer_id).where(work.c.failing_since.is_not(None))).scalars())


_EXPIRED = work.c.lease_until <= clock()
_DUE = work.c.lease_until.is_(None) & (work.c.due_at <= clock())


def _next(condition: ColumnElement[bool], column: ColumnElement[Any]) -> Any:
    wanted = select(work).where(condition).order_by(column).limit(1)
    return wanted.with_for_update(skip_locked=True)


_NEXT = (_next(_EXPIRED, work.c.lease_until), _next(_DUE, work.c.due_at))
_CLAIM = (
    update(work)
    .where(work.c.loadbalancer_id == bindparam("id"))
    .values(
        lease_owner=bindparam("owner"),
        lease_until=clock() + bindparam("seconds"),
        epoch=work.c.epoch + 1,
        due_at=None,
    )
)


def claim(engine: Engine, owner: str, lease_seconds: float) -> Claim | None:
    """A lease on one load balancer that is due, or whose lease ran out; None when there is none such."""
    if engine.dialect.name == "sqlite" and not _anything_due(engine):
        return None  # without taking the one write lock

    def take(conn: Connection) -> Claim | None:
        for statement in _NEXT:
            row = conn.execute(statement).one_or_none()
            if row is not None:
                values = {"id": row.loadbalancer_id, "owner": owner, "seconds": float(lease_seconds)}
                conn.execute(_CLAIM, values)
                return Claim(row.loadbalancer_id, row.epoch + 1, row.generation, owner, row.attempts, row.failing_since)
        return None

    return retrying(engine, take)


def _anything_due(engine: Engine) -> bool:
    with reading(engine) as conn:
        return any(conn.execute(statement).first() for statement in _NEXT)


def renew(engine: Engine, claim: Claim, seconds: float) -> bool:
    """Hold the lease for `seconds` from now; False when it was lost."""
    values = {"id": claim.loadbalancer_id, "of_epoch": claim.epoch, "seconds": float(seconds)}
    return retrying(engine, lambda conn: conn.execute(_RENEW, values).rowcount == 1)


_RENEW = update(work).where(*_MINE, work.c.lease_until.is_not(None)).values(lease_until=clock() + bindparam("seconds"))


def held(conn: Connection, claim: Claim) -> bool:
    """Whether nobody else has claimed the load balancer since; it stays so until the transaction ends."""
    _lock(conn, claim)
    return conn.execute(_HELD, {"id": claim.loadbalancer_id, "of_epoch": claim.epoch}).first() is not None


_HELD = select(work.c.epoch).where(*_MINE, work.c.lease_until.is_not(None)).with_for_update()


def _lock(conn: Connection, claim: Claim) -> None:
    """Lock the load balancer before its work, in the order in which everybody does."""
    if conn.dialect.name != "sqlite":  # which has locked everything already
        conn.execute(_LOCK, {"id": claim.loadbalancer_id})


_LOCK = select(table_of(LoadBalancer).c.id).where(table_of(LoadBalancer).c.id == bindparam("id")).with_for_update()


def finish(conn: Connection, claim: Claim, generation: int, again_in: float | None = None) -> bool:
    """End the lease after a success: the wish of `generation` was seen fulfilled.

    Due again in `again_in` seconds (never if None), or at once if it became due meanwhile or its generation
    moved. False when the lease was lost: the caller must then roll back what it wrote.
    """
    _lock(conn, claim)
    values = {"id": claim.loadbalancer_id, "of_epoch": claim.epoch, "observed": generation, "seconds": again_in}
    return conn.execute(_FINISH, values).rowcount == 1


_LATER = clock() + bindparam("seconds", type_=work.c.due_at.type)
_FINISH = (
    update(work)
    .where(*_MINE, work.c.lease_until.is_not(None))
    .values(
        observed_generation=bindparam("observed"),
        due_at=case(
            (work.c.due_at.is_not(None), work.c.due_at),
            (work.c.generation > bindparam("observed"), clock()),
            else_=_LATER,  # null when `seconds` is
        ),
        attempts=0,
        failing_since=None,
        error=None,
        **_FREE,
    )
)


def postpone(conn: Connection, claim: Claim, seconds: float, error: str) -> bool:
    """End the lease after a failure, and try again in `seconds`, or at once if it became due meanwhile.

    False when the lease was lost.
    """
    _lock(conn, claim)
    values = {"id": claim.loadbalancer_id, "of_epoch": claim.epoch, "seconds": float(seconds), "words": error}
    return conn.execute(_POSTPONE, values).rowcount == 1


_POSTPONE: Update = (
    update(work)
    .where(*_MINE, work.c.lease_until.is_not(None))
    .values(
        due_at=func.coalesce(work.c.due_at, _LATER),
        attempts=work.c.attempts + 1,
        failing_since=func.coalesce(work.c.failing_since, clock()),
        error=bindparam("words"),
        **_FREE,
    )
)


def next_due(engine: Engine) -> float | None:
    """The database time at which something is due next (now or in the past: at once), None if nothing is."""
    with reading(engine) as conn:
        moments = [conn.execute(statement).scalar() for statement in _FIRST]
    return min((moment for moment in moments if moment is not None), default=None)


_FIRST = (select(func.min(work.c.due_at)).where(work.c.lease_until.is_(None)), select(func.min(work.c.lease_until)))


def release_all(engine: Engine, owner: str) -> None:
    """Give up every lease of an owner that stops; their load balancers are due at once."""
    statement = update(work).where(work.c.lease_owner == owner).values(due_at=clock(), **_FREE)
    retrying(engine, lambda conn: conn.execute(statement) and None)


def view(conn: Connection, loadbalancer_id: str) -> WorkView | None:
    """How the work on a load balancer stands, None when there is none such."""
    row = conn.execute(_VIEW, {"id": loadbalancer_id}).one_or_none()
    return WorkView(*row) if row else None


_VIEW = select(*(work.c[name] for name in WorkView.__struct_fields__[:-1]), clock()).where(
    work.c.loadbalancer_id == bindparam("id")
)
