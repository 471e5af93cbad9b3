# SPDX-License-Identifier: Apache-2.0
"""An agent of the test's own, members to balance over, and a receiver of heartbeats."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

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
            agent = LoneAgent(stack.enter_context(slot()), settings)
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
