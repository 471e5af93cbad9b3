# SPDX-License-Identifier: Apache-2.0
"""Databases for tests, of each kind that Ottava knows: a file, or a schema on a private server of this process."""

import functools
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from ottava.store import engine as engines
from ottava.store.tables import metadata
from support.servers import SERVERS, Server

KINDS = ("sqlite", *SERVERS)


@functools.cache
def server(kind: str) -> Server:
    """The server that the tests of this process share; they leave it running."""
    made = SERVERS[kind]()
    _running.append(made)
    made.start()
    return made


_running: list[Server] = []


def stop() -> None:
    """Stop the servers of this process."""
    while _running:
        _running.pop().remove()
    server.cache_clear()


@contextmanager
def empty(kind: str, folder: Path, on: Server | None = None) -> Iterator[str]:
    """The URL of a database without any tables, gone afterwards; on another server than the shared one if named."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/{secrets.token_hex(4)}.sqlite"
        return
    name = f"ottava_{secrets.token_hex(4)}"
    what = "SCHEMA" if kind == "postgresql" else "DATABASE"
    home = make_url((on or server(kind)).url)
    admin = sqlalchemy.create_engine(home, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with admin.connect() as conn:
        conn.execute(text(f"CREATE {what} {name}"))
    inside = (
        home.set(database=name) if kind == "mariadb" else home.update_query_dict({"options": f"-csearch_path={name}"})
    )
    try:
        yield inside.render_as_string(hide_password=False)
    finally:
        with admin.connect() as conn:
            conn.execute(text(f"DROP {what} {name}" + (" CASCADE" if kind == "postgresql" else "")))


@contextmanager
def upgraded(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database with the newest tables, empty."""
    with empty(kind, folder) as url:
        engine = engines.create_engine(url)
        engines.upgrade(engine)
        engine.dispose()
        yield url


def clear(engine: Engine) -> None:
    """Delete every row."""
    with engines.writing(engine) as conn:
        for table in reversed(metadata.sorted_tables):
            conn.execute(table.delete())
