# SPDX-License-Identifier: Apache-2.0
"""`ottava db`: the version of the database."""

import argparse
import tempfile
from pathlib import Path

from sqlalchemy import Engine

from ottava.cmd import database, settings
from ottava.cmd.mistakes import UserMistake
from ottava.store import engine as engines
from ottava.store import migrations


def run(arguments: argparse.Namespace) -> int:
    """Bring the database to the newest version, say which one it has (1 if it is another one), declare it to have one
    without touching the tables, or write a new one."""
    if arguments.verb == "revision":
        return _revision(arguments.message)
    with database.opened(settings.configuration(arguments), upgrade=arguments.verb == "upgrade") as engine:
        if arguments.verb == "stamp":
            _stamp(engine, arguments.revision)
        return _say(engine)


def _stamp(engine: Engine, revision: str) -> None:
    """Raises UserMistake for a version that there is not."""
    from alembic.util import CommandError

    from ottava.store.migrations.run import stamp

    try:
        engines.retrying(engine, lambda conn: stamp(conn, revision))
    except CommandError as error:
        raise UserMistake(f"there is no version {revision}; the newest is {migrations.HEAD}") from error


def _say(engine: Engine) -> int:
    found = engines.version(engine)
    if found == migrations.HEAD:
        print(f"The database has the version of this program, {migrations.HEAD}.")
        return 0
    print(f"The database has {f'version {found}' if found else 'no tables'}; this program needs {migrations.HEAD}.")
    print("Run `ottava db upgrade`.")
    return 1


def _revision(message: str) -> int:
    """For developers: write the migration from the newest version to the declarations as they are now, in the source."""
    from alembic import command

    from ottava.store.migrations.run import configuration

    number = f"{int(migrations.HEAD) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        engine = engines.create_engine(f"sqlite:///{folder}/empty.sqlite")
        engines.upgrade(engine)
        with engines.writing(engine) as conn:
            config = configuration(conn)
            config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
            command.revision(config, message, autogenerate=True, rev_id=number)
        engine.dispose()
    marker = Path(str(migrations.__file__))
    marker.write_text(marker.read_text().replace(f'HEAD = "{migrations.HEAD}"', f'HEAD = "{number}"'))
    print(f"Wrote version {number} below {marker.parent}; read it before you commit it.")
    print("A column that may not be NULL needs a server_default, for the rows that exist.")
    return 0
