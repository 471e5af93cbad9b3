# SPDX-License-Identifier: Apache-2.0
"""Opening databases, transactions, migrations."""

import subprocess
import sys
import threading
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text
from support import databases, servers
from support.threads import together

from ottava.model import errors
from ottava.store import engine as engines
from ottava.store import hosts, tables
from ottava.store.migrations import HEAD
from ottava.store.migrations.run import configuration


@pytest.fixture(params=databases.KINDS)
def empty(request, tmp_path):
    with databases.empty(request.param, tmp_path) as url:
        yield url


def test_migrations_make_the_tables_that_are_declared(empty):
    engine = engines.create_engine(empty)
    engines.upgrade(engine)
    assert engines.version(engine) == HEAD
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        assert ScriptDirectory.from_config(configuration(conn)).get_current_head() == HEAD
    engine.dispose()


def test_upgrades_at_the_same_time_wait_for_one_another(empty):
    code = "import sys; from ottava.store import engine as e; e.upgrade(e.create_engine(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", code, empty], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(each.communicate()[1], each.returncode) for each in running] == [(b"", 0)] * 3
    engine = engines.create_engine(empty)
    assert engines.version(engine) == HEAD
    engine.dispose()


def test_nothing_to_upgrade_is_found_out_without_alembic(url):
    code = """import sys
from ottava.store import engine
engine.upgrade(engine.create_engine(sys.argv[1]))
sys.exit(any(name.startswith("alembic") for name in sys.modules))"""
    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 0


def test_a_new_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "state" / "ottava.sqlite"
    engine = engines.create_engine(f"sqlite:///{path}")
    engines.upgrade(engine)
    assert [each.stat().st_mode & 0o077 for each in (path.parent, *path.parent.iterdir())] == [0] * (
        1 + len(list(path.parent.iterdir()))
    )
    with engine.connect() as conn:
        settings = [
            conn.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
    engine.dispose()


def test_a_transaction_that_fails_leaves_nothing(engine):
    def fail(conn):
        hosts.seen(conn, "a", "https://a", {})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engines.retrying(engine, fail)
    with engines.reading(engine) as conn:
        assert hosts.all(conn) == []


def test_a_reader_sees_one_snapshot(engine):
    with engines.reading(engine) as conn:
        assert hosts.all(conn) == []
        with engines.writing(engine) as other:
            hosts.seen(other, "a", "https://a", {})
        assert hosts.all(conn) == []
    with engines.reading(engine) as conn:
        assert [host.name for host in hosts.all(conn)] == ["a"]


def test_writers_that_read_first_lose_no_update(engine):
    with engines.writing(engine) as conn:
        hosts.seen(conn, "a", "https://a", {"count": 0})
    count = tables.host.c.facts

    def add(conn):
        facts = conn.execute(select(count).with_for_update()).scalar_one()
        conn.execute(tables.host.update().values(facts={"count": facts["count"] + 1}))

    def many():
        for _ in range(20):
            engines.retrying(engine, add)

    together(many, times=4)
    with engines.reading(engine) as conn:
        assert hosts.all(conn)[0].facts == {"count": 80}


def test_deadlocks_are_tried_again(engine):
    with engines.writing(engine) as conn:
        for name in ("a", "b"):
            hosts.seen(conn, name, "https://" + name, {})
    both = threading.Barrier(2)

    def crosswise(first, second):
        waited = []

        def lock_both(conn):
            hosts.seen(conn, first, "https://new", {})
            if engine.dialect.name != "sqlite" and not waited:
                waited.append(both.wait())
            hosts.seen(conn, second, "https://new", {})

        return lambda: engines.retrying(engine, lock_both)

    together(crosswise("a", "b"), crosswise("b", "a"))
    with engines.reading(engine) as conn:
        assert [host.url for host in hosts.all(conn)] == ["https://new"] * 2


def test_a_database_that_is_not_there_is_unavailable(engine, tmp_path):
    gone = {"sqlite": f"sqlite:///{tmp_path}/x.sqlite", "postgresql": "postgresql+psycopg://root@127.0.0.1:1/test"}
    broken = engines.create_engine(gone.get(engine.dialect.name, "mysql+pymysql://root@127.0.0.1:1/test"))
    if engine.dialect.name == "sqlite":
        (tmp_path / "x.sqlite").unlink()
        (tmp_path / "x.sqlite").mkdir()
    for manner in (engines.reading, engines.writing):
        with pytest.raises(errors.Unavailable), manner(broken):
            pass
    with pytest.raises(errors.Unavailable):
        engines.retrying(broken, hosts.all)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_commit_that_is_refused_is_tried_again(engine):
    """As a cluster of MariaDB does when another node was first; one PostgreSQL does it to transactions that ask for it."""
    with engines.writing(engine) as conn:
        for name in ("a", "b"):
            hosts.seen(conn, name, "https://old", {})
    both, ended = threading.Barrier(2), []

    def change(mine):
        waited = []

        def job(conn):
            conn.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
            assert len(hosts.all(conn)) == 2
            hosts.seen(conn, mine, "https://new", {})
            if not waited:
                waited.append(both.wait())
            ended.append(mine)

        return lambda: engines.retrying(engine, job)

    together(change("a"), change("b"))
    assert len(ended) == 3
    with engines.reading(engine) as conn:
        assert [host.url for host in hosts.all(conn)] == ["https://new"] * 2


@pytest.mark.parametrize("url", servers.SERVERS, indirect=True)
def test_a_lost_connection_is_tried_again(engine):
    own, kill = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL {}"),
    }[engine.dialect.name]
    tries = []

    def break_once(conn):
        tries.append(1)
        if len(tries) == 1:
            number = conn.execute(text(own)).scalar_one()
            with engine.connect() as other:
                other.execute(text(kill.format(number)))
        hosts.seen(conn, "a", "https://a", {})

    engines.retrying(engine, break_once)
    assert len(tries) == 2


def test_the_clock_is_the_databases(engine):
    with engines.writing(engine) as conn:
        first = engines.now(conn)
        hosts.seen(conn, "a", "https://a", {})
        moments = [first, hosts.all(conn)[0].last_seen, engines.now(conn)]
    assert moments == sorted(moments)
    assert abs(moments[0] - time.time()) < 100  # the same epoch, whatever the time zone


def test_text_is_compared_by_code_point(engine):
    words = ["", "A", "Z", "a", "a ", "b", "e\u0301", "\u00e9", "\uffdc", "\U0001f600"]
    with engines.writing(engine) as conn:
        for word in words:
            hosts.seen(conn, word, "https://x", {})
        assert [host.name for host in hosts.all(conn)] == sorted(words)
        assert conn.execute(select(func.count()).where(tables.host.c.name == "a")).scalar() == 1
