# SPDX-License-Identifier: Apache-2.0
"""Opening the database for a command: what is wrong with it is told in words."""

import contextlib
from collections.abc import Iterator

from oslo_config import cfg
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from ottava.cmd.mistakes import UserMistake
from ottava.model import errors
from ottava.store import engine as engines


@contextlib.contextmanager
def opened(conf: cfg.ConfigOpts, upgrade: bool = False) -> Iterator[Engine]:
    """The database, brought to the newest version first if `upgrade`. Raises UserMistake, here and in the block."""
    with troubles_told(conf):
        engine = engines.configured(conf)
        try:
            if upgrade:
                engines.upgrade(engine)
            yield engine
        finally:
            engine.dispose()


@contextlib.contextmanager
def troubles_told(conf: cfg.ConfigOpts) -> Iterator[None]:
    """UserMistake for a database that cannot be opened or does not answer."""
    try:
        yield
    except errors.Unavailable as error:
        raise UserMistake(str(error.facts["reason"])) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserMistake(f"[database] connection is not understood: {error}") from error
    except ModuleNotFoundError as error:
        raise UserMistake(f"[database] connection needs the Python package {error.name}, which is missing") from error
    except OperationalError as error:
        raise UserMistake(f"the database {_shown(conf)} does not answer: {error.orig}") from error
    except OSError as error:
        raise UserMistake(f"the database {_shown(conf)} cannot be opened: {error}") from error


def _shown(conf: cfg.ConfigOpts) -> str:
    """The URL without the password."""
    return make_url(conf.database.connection).render_as_string(hide_password=True)
