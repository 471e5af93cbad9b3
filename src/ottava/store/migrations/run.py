# SPDX-License-Identifier: Apache-2.0
"""Carrying out revisions. Imported only when there is something to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from ottava.store.columns import MARIADB

_NAME = "ottava-migrations"
_NUMBER = 7263641
_PATIENCE = 300


def configuration(conn: Connection) -> Config:
    """Alembic's configuration, on a connection that is open."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = conn
    return config


def run(conn: Connection) -> None:
    """Bring the tables to the newest revision, in the caller's transaction for writing; processes that start together
    wait for one another."""
    _queue(conn)
    try:
        command.upgrade(configuration(conn), "head")
    finally:
        if conn.dialect.name in MARIADB:
            conn.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _NAME})


def stamp(conn: Connection, revision: str) -> None:
    """Write down that the tables are those of a revision ("head": the newest), as they are. Raises alembic's CommandError."""
    command.stamp(configuration(conn), revision)


def _queue(conn: Connection) -> None:
    """One at a time. SQLite's write lock, held already, does it; elsewhere a lock by name, as tables may not exist."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _NUMBER})
    elif conn.dialect.name in MARIADB:
        conn.execute(text("SELECT GET_LOCK(:name, :patience)"), {"name": _NAME, "patience": _PATIENCE})
