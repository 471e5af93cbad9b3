# SPDX-License-Identifier: Apache-2.0
"""From every revision to the newest, with rows in the tables; and the words of `ottava db`."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, Connection, MetaData, Numeric, Table, func, insert, select
from support import databases

from ottava.cmd.main import main
from ottava.store import engine as engines
from ottava.store import tables
from ottava.store.migrations import HEAD
from ottava.store.migrations import run as migrations

FOLDER = str(Path(migrations.__file__).parent)
REVISIONS = [each.revision for each in reversed(list(ScriptDirectory(FOLDER).walk_revisions()))]
ROWS = 3


def rows(conn: Connection) -> dict[str, int]:
    """How many rows each table has."""
    found = MetaData()
    found.reflect(conn)
    return {
        name: conn.execute(select(func.count()).select_from(table)).scalar_one() for name, table in found.tables.items()
    }


def fill(conn: Connection) -> None:
    """Rows in every table that there is, all columns set."""
    found = MetaData()
    found.reflect(conn)
    for table in found.sorted_tables:
        if table.name != "alembic_version":
            conn.execute(insert(table), [row(table, number) for number in range(ROWS)])


def row(table: Table, number: int) -> dict[str, object]:
    values: dict[str, object] = {}
    for column in table.columns:
        if isinstance(column.type, Boolean) or str(column.type).startswith("TINYINT"):
            values[column.name] = True
        elif isinstance(column.type, Numeric) or "INT" in str(column.type) or "DOUBLE" in str(column.type):
            values[column.name] = number
        else:
            values[column.name] = f"it's {number}"
    return values


@pytest.mark.parametrize("kind", databases.KINDS)
def test_every_revision_can_be_upgraded_with_its_rows(kind, tmp_path):
    assert [f"{number:04d}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
    assert REVISIONS[-1] == HEAD
    for revision in REVISIONS:
        with databases.empty(kind, tmp_path) as url:
            engine = engines.create_engine(url)
            with engines.writing(engine) as conn:
                command.upgrade(migrations.configuration(conn), revision)
                fill(conn)
                before = rows(conn)
            engines.upgrade(engine)
            assert engines.version(engine) == HEAD
            with engine.connect() as conn:
                after = rows(conn)
                assert {name: after[name] for name in before} == before
                context = MigrationContext.configure(conn, opts={"compare_type": True})
                assert compare_metadata(context, tables.metadata) == []
            engine.dispose()


def test_a_database_is_declared_to_have_a_version(tmp_path, capsys):
    config = tmp_path / "ottava.conf"
    config.write_text(f"[DEFAULT]\nstate_dir = {tmp_path}\nrun_dir = {tmp_path}/run\n")

    def db(*words):
        status = main(["db", *words, "--config-file", str(config)])
        return status, "".join(capsys.readouterr())

    assert db("check")[0] == 1
    assert db("upgrade") == (0, f"The database has the version of this program, {HEAD}.\n")
    assert db("stamp", "0001") == (
        1, f"The database has version 0001; this program needs {HEAD}.\nRun `ottava db upgrade`.\n",
    )  # fmt: skip
    assert db("stamp", "head")[0] == 0
    assert db("check")[0] == 0
    assert db("stamp", "9999") == (1, f"ottava db: there is no version 9999; the newest is {HEAD}\n")
    assert db("check")[0] == 0
