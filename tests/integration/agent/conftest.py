# SPDX-License-Identifier: Apache-2.0
"""An agent of the test's own, members to balance over, and a receiver of heartbeats."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.lone_agent import Backends, LoneAgent
from support.slots import slot


@pytest.fixture
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LoneAgent]]:
    """Makes agents, not started yet; what they made is gone afterwards, or the test fails."""
    if os.geteuid() != 0:
        pytest.fail("these tests make network namespaces and need root")
    with ExitStack() as stack:

        def make(**settings: object) -> LoneAgent:
            folder = Path(tempfile.mkdtemp(prefix="ta-", dir="/tmp"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            agent = LoneAgent(folder, stack.enter_context(slot()), f"ta{secrets.token_hex(1)}", settings)
            stack.callback(agent.close)
            return agent

        yield make


@pytest.fixture
def agent(lone: Callable[..., LoneAgent]) -> LoneAgent:
    """An agent that runs."""
    made = lone()
    made.start()
    return made


@pytest.fixture
def members(agent: LoneAgent) -> Iterator[Backends]:
    """Starts web servers on the host's end of the bridge: `members("a")` is the port of one."""
    found = Backends()
    yield found
    found.close()
