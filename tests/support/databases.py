# SPDX-License-Identifier: Apache-2.0
"""Databases for tests: a file, and a schema of one's own on the servers of this machine where they answer."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from ottava.store import engine as engines
from ottava.store.tables import metadata

KINDS = ("sqlite", "postgresql", "mariadb")

SERVERS = {
    "postgresql": os.environ.get(
        "OTTAVA_TEST_POSTGRESQL", "postgresql+psycopg://root@127.0.0.1/test?connect_timeout=2"
    ),
    "mariadb": os.environ.get("OTTAVA_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1/?connect_timeout=2"),
}


class NoServer(Exception):
    """There is no such server here."""


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database without any tables, gone afterwards. Raises NoServer."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/{secrets.token_hex(4)}.sqlite"
        return
    name = f"ottava_test_{os.getpid()}_{secrets.token_hex(4)}"
    server = make_url(SERVERS[kind])
    what = "SCHEMA" if kind == "postgresql" else "DATABASE"
    admin = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as conn:
            conn.execute(text(f"CREATE {what} {name}"))
    except OperationalError as error:
        raise NoServer(f"{kind} does not answer: {error.orig}") from error
    try:
        yield _inside(kind, server, name)
    finally:
        with admin.connect() as conn:
            conn.execute(text(f"DROP {what} {name}" + (" CASCADE" if kind == "postgresql" else "")))
        admin.dispose()


def _inside(kind: str, server: URL, name: str) -> str:
    if kind == "mariadb":
        return server.set(database=name).render_as_string(hide_password=False)
    return server.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)


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
