# SPDX-License-Identifier: Apache-2.0
"""Databases: every test of the store runs on each kind."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from support import databases

from ottava.store import engine as engines


@pytest.fixture(scope="session", params=databases.KINDS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with databases.upgraded(request.param, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on a database with all tables and no row."""
    engine = engines.create_engine(url)
    databases.clear(engine)
    yield engine
    engine.dispose()
