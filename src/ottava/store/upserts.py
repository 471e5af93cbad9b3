# SPDX-License-Identifier: Apache-2.0
"""Insert-or-update, which each database spells in its own way."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite


def upsert(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; where the primary key is taken, the other columns of that row are set."""
    if rows:
        conn.execute(_upsert(conn.dialect.name, table, frozenset(rows[0])), [dict(row) for row in rows])


def insert_missing(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row; False, and nothing done, when its primary key is taken."""
    return conn.execute(_insert_missing(conn.dialect.name, table), dict(row)).rowcount == 1


@functools.cache
def _upsert(dialect: str, table: Table, names: frozenset[str]) -> Any:
    keys = [column.name for column in table.primary_key]
    others = sorted(names - set(keys))
    if dialect in ("mysql", "mariadb"):
        mine = mysql.insert(table)
        return mine.on_duplicate_key_update({name: mine.inserted[name] for name in others})
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return made.on_conflict_do_update(index_elements=keys, set_={name: made.excluded[name] for name in others})


@functools.cache
def _insert_missing(dialect: str, table: Table) -> Any:
    if dialect in ("mysql", "mariadb"):
        return mysql.insert(table).prefix_with("IGNORE").execution_options(preserve_rowcount=True)
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    made = made.on_conflict_do_nothing(index_elements=[column.name for column in table.primary_key])
    return made.execution_options(preserve_rowcount=True)
