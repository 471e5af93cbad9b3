# SPDX-License-Identifier: Apache-2.0
"""Many rows in little time: copies of those that are there, made by the database itself."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, String, Table, cast, func, insert, literal_column, select, text
from sqlalchemy.dialects import mysql

from ottava.model.graph import RESOURCES
from ottava.store.tables import metadata

TREE = {"resource_id", "default_pool_id", "redirect_pool_id", *(f"{kind}_id" for kind in RESOURCES)}
"""Columns that name an object of the same load balancer."""

WHOLE = [table.name for table in metadata.sorted_tables if table.name == "loadbalancer" or "loadbalancer_id" in table.c]
"""Tables that hold parts of a load balancer, parents first."""


def copy(conn: Connection, number: int, names: Iterable[str] = WHOLE, apart: bool = True) -> None:
    """Make `number` copies of every row of the tables, with other ids, one made a microsecond after the other.

    apart: references follow, so that whole load balancers are copied; otherwise the copies stay below the same parents.
    """
    for name in names:
        _copy(conn, metadata.tables[name], number, apart)
    for table in metadata.tables.values():  # the planner's knowledge
        if conn.dialect.name != "sqlite":
            conn.execute(text(f"ANALYZE {'TABLE ' * (conn.dialect.name != 'postgresql')}{table.name}"))
    if conn.dialect.name == "sqlite":
        conn.execute(text("ANALYZE"))


def _copy(conn: Connection, table: Table, number: int, apart: bool) -> None:
    base = select(literal_column("1").label("i"))
    numbers = base.cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < number))
    mark = _mark(conn.dialect.name, numbers.c.i)
    unique = {column.name for index in table.indexes if index.unique for column in index.columns}
    own = {column.name for column in table.primary_key if isinstance(column.type, String)} | unique
    own = {name for name in own if name != "tag" and (apart or name not in TREE)}
    values: list[ColumnElement[str]] = []
    for column in table.columns:
        if column.name in own or (apart and column.name in TREE):
            values.append(mark.concat(func.substr(column, 9)) if apart else func.substr(column, 1, 28).concat(mark))
        elif column.name in ("created_at", "name"):
            stem = func.substr(column, 1, 19) if column.name == "created_at" else column
            values.append(stem.concat(".").concat(_six(conn.dialect.name, numbers.c.i)))
        else:
            values.append(column)
    rows = select(*values).select_from(table.join(numbers, literal_column("1") == literal_column("1")))
    if conn.dialect.name != "sqlite":
        conn.execute(
            text("SET max_recursive_iterations = 10000000" if conn.dialect.name != "postgresql" else "SELECT 1")
        )
    conn.execute(insert(table).from_select([column.name for column in table.columns], rows))


def _mark(dialect: str, number: ColumnElement[int]) -> ColumnElement[str]:
    """Eight hexadecimal digits."""
    if dialect == "sqlite":
        return func.printf("%08x", number)
    return func.lpad(func.to_hex(number) if dialect == "postgresql" else func.lower(func.hex(number)), 8, "0")


def _six(dialect: str, number: ColumnElement[int]) -> ColumnElement[str]:
    """Six decimal digits."""
    if dialect == "sqlite":
        return func.printf("%06d", number)
    return func.lpad(cast(number, String if dialect == "postgresql" else mysql.CHAR(8)), 6, "0")
