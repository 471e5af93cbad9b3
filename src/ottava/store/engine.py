# SPDX-License-Identifier: Apache-2.0
"""The database: how it is opened, how transactions run on it, and its clock.

Writing transactions see the newest committed state and exclude each other by row locks (on SQLite by
the one write lock, taken at their start). Reading ones see one snapshot throughout.
"""

import contextlib
import datetime
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import sqlalchemy
from oslo_config import cfg
from sqlalchemy import Connection, Double, Engine, event, select, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from ottava.model import errors

T = TypeVar("T")

LOCK_SECONDS = 10
ATTEMPTS = 6
_RETRY = ("40001", "40P01", "55P03", 1180, 1205, 1213)
"""Codes of a deadlock, of a lock that is not had, and of a commit that another node of a cluster forestalled."""

_LEAVE = ("25006", "57P01", "57P02", "57P03", 1047, 1053, 1290, 1927)
"""Codes of a server that ends, only reads, or is not ready: another may take its place, so its connections are given up."""

_ALIVE = {
    "connect_timeout": LOCK_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 3000 * LOCK_SECONDS,
}
"""When PostgreSQL's library gives up a server that has vanished without a word; the URL may say otherwise."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The connections that an engine keeps; the options of group database explain them."""

    size: int = 10
    overflow: int = 20
    timeout: float = LOCK_SECONDS
    recycle: int = 3600


class clock(GenericFunction[float]):
    """The database's clock at the start of the statement (fixed within it, so that indexes serve), in Unix seconds."""

    type = Double()
    inherit_cache = True


@compiles(clock, "sqlite")
def _(element: clock, compiler: object, **options: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _(element: clock, compiler: object, **options: object) -> str:
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS DOUBLE PRECISION)"


@compiles(clock, "mysql")
@compiles(clock, "mariadb")
def _(element: clock, compiler: object, **options: object) -> str:
    return "CAST(UNIX_TIMESTAMP(NOW(6)) AS DOUBLE)"


def configured(conf: cfg.ConfigOpts) -> Engine:
    """The engine that the options of group database ask for."""
    chosen = conf.database
    pool = Pool(
        size=chosen.max_pool_size,
        overflow=chosen.max_overflow,
        timeout=chosen.pool_timeout,
        recycle=chosen.connection_recycle_time,
    )
    return create_engine(chosen.connection, pool)


def create_engine(url: str | URL, pool: Pool = Pool()) -> Engine:  # noqa: B008 - it is frozen
    """The engine for `url`: sqlite:///file, postgresql+psycopg://... or mysql+pymysql://... .

    A new SQLite file is readable by its owner alone.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": pool.size,
        "max_overflow": pool.overflow,
        "pool_timeout": pool.timeout,
        "pool_recycle": pool.recycle,
        "pool_reset_on_return": None,  # every transaction is ended by us; on a lost connection it could only complain
    }
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        _prepare_file(parsed.database)
        engine = sqlalchemy.create_engine(parsed, connect_args={"cached_statements": 512}, **options)
        event.listen(engine, "connect", _open_sqlite)
        return engine
    if backend == "postgresql":
        given = parsed.query.get("options", "")
        options["connect_args"] = {
            **{name: value for name, value in _ALIVE.items() if name not in parsed.query},
            "options": f"{given} -c lock_timeout={LOCK_SECONDS}s",
        }
    else:
        # JSON_ARRAYAGG is cut at group_concat_max_len.
        options["connect_args"] = {
            "init_command": "SET SESSION time_zone='+00:00', group_concat_max_len=16777216, "
            f"innodb_lock_wait_timeout={LOCK_SECONDS}"
        }
    engine = sqlalchemy.create_engine(parsed, isolation_level="READ COMMITTED", pool_pre_ping=True, **options)
    event.listen(engine, "handle_error", _leave)
    return engine


def _leave(context: ExceptionContext) -> None:
    if _code(context.original_exception) in _LEAVE:
        context.is_disconnect = True


def hurried(engine: Engine) -> Engine:
    """The same engine, not waiting for the disk on SQLite: a power cut may undo its last transactions, whole ones.

    For writers who find out by themselves what is still to do, never for what a client was answered.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = NORMAL"))
    return engine


def _prepare_file(path: str | None) -> None:
    if path and path != ":memory:":
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _open_sqlite(dbapi_connection: Any, record: object) -> None:
    dbapi_connection.isolation_level = None  # the driver begins no transactions: see _begin_sqlite
    for pragma in (
        f"busy_timeout = {LOCK_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",  # what was answered survives a power cut
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -16384",
    ):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(conn: Connection, writing: bool) -> None:
    """Begin a transaction. Not by SQLAlchemy's "begin" event: an engine with such a listener pays at every statement.

    A writer takes the write lock at once: if it began by reading, it would fail whenever another wrote between. It asks
    again in short random pauses, because SQLite's own pauses grow up to 100 ms and let late comers go first: with four
    writers at it without a break, the longest wait was 3 s that way and is 0.4 s this way.
    """
    raw: Any = conn.connection.dbapi_connection
    if not writing:
        raw.execute("BEGIN")
        return
    raw.execute("PRAGMA busy_timeout = 0")
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while not _try_to_write(raw, last=time.monotonic() >= deadline):
            time.sleep(random.random() * 0.001)  # noqa: S311 - jitter, no secret
    finally:
        raw.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")


def _try_to_write(raw: Any, last: bool) -> bool:
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if last or not error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise OperationalError("BEGIN IMMEDIATE", None, error) from error
        return False
    return True


@contextlib.contextmanager
def _reading(engine: Engine, snapshot: bool) -> Iterator[Connection]:
    with engine.connect() as conn:
        if snapshot and engine.dialect.name == "postgresql":
            conn.execution_options(isolation_level="REPEATABLE READ")
        with conn.begin():
            if engine.dialect.name == "sqlite":
                _begin_sqlite(conn, writing=False)
            elif snapshot and engine.dialect.name != "postgresql":
                # The execution option would cost four statements here, and lose track of a connection that is lost.
                conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield conn


@contextlib.contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as conn, conn.begin():
        if engine.dialect.name == "sqlite":
            _begin_sqlite(conn, writing=True)
        yield conn


@contextlib.contextmanager
def reading(engine: Engine, snapshot: bool = True) -> Iterator[Connection]:
    """A transaction that sees one snapshot; without `snapshot`, which costs, each of its statements may see a newer one.

    Raises Unavailable when the database does not answer.
    """
    with _answering(), _reading(engine, snapshot) as conn:
        yield conn


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write, committed at the end. Raises Unavailable when it cannot be carried out now."""
    with _answering(), _writing(engine) as conn:
        yield conn


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise errors.Unavailable(reason="every connection to the database is busy") from error
    except DBAPIError as error:
        if _transient(error) or isinstance(error, OperationalError | InternalError | InterfaceError):
            raise errors.Unavailable(reason=_words(error)) from error
        raise


def retrying(engine: Engine, function: Callable[[Connection], T]) -> T:
    """What `function(conn)` returns, run in a writing transaction.

    It is run again after a deadlock or a lost connection, so it must have no effects outside the transaction. A
    connection lost during the commit leaves open whether it was carried out: then it meets its own rows.
    Raises Unavailable when that does not help, or a lock is not had in LOCK_SECONDS.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    with _answering():
        for attempt in range(ATTEMPTS):
            try:
                with _writing(engine) as conn:
                    return function(conn)
            except DBAPIError as error:
                # A lost attempt whose commit comes through after all shows as rows that exist already.
                again = _transient(error) or (attempt > 0 and isinstance(error, IntegrityError))
                if not again or attempt == ATTEMPTS - 1 or time.monotonic() >= deadline:
                    raise
            time.sleep(random.random() * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
    raise AssertionError("the last attempt returns or raises")


def _transient(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed a moment later."""
    if error.connection_invalidated or _code(error.orig) in _RETRY:
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _code(error: BaseException | None) -> object:
    """The SQLSTATE of PostgreSQL or the number of MariaDB, None for others."""
    return getattr(error, "sqlstate", None) or (error.args[0] if error is not None and error.args else None)


def _words(error: DBAPIError) -> str:
    return f"the database does not answer: {error.orig}"


def now(conn: Connection) -> float:
    """The database's clock, in Unix seconds."""
    return conn.execute(_NOW).scalar_one()


_NOW = select(clock())


def timestamp() -> str:
    """The time of this machine as resources write it: UTC, ISO 8601 with microseconds."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest form of the tables; costs one statement when it has that already."""
    from ottava.store.migrations import HEAD

    if version(engine) != HEAD:
        from ottava.store.migrations.run import run

        with writing(engine) as conn:
            run(conn)


def version(engine: Engine) -> str | None:
    """The revision of the tables in the database, None when there is none."""
    with _reading(engine, snapshot=False) as conn:
        try:
            return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except DBAPIError as error:
            if _transient(error):
                raise errors.Unavailable(reason=_words(error)) from error
            return None
