# SPDX-License-Identifier: Apache-2.0
"""What the controller asks of the agents, and how asking can fail.

Every implementation passes tests/contract/test_controller_agents.py.
"""

from typing import Protocol

from ottava.wire.applied import Applied
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Facts, Report


class AgentError(Exception):
    """An agent could not be asked; the message says why, in words."""


class Unreachable(AgentError):
    """Nobody answers at the host's URL, or somebody who is not its agent. Whether anything was done is unknown."""


class Misunderstood(AgentError):
    """The agent answers, but not to what was asked, or not in words that are understood."""


class Agents(Protocol):
    """The agents of all hosts. `host` is the host's name and `url` where its agent listens; raises AgentError."""

    def facts(self, host: str, url: str) -> Facts:
        """What the host says of itself."""

    def reports(self, host: str, url: str) -> list[Report]:
        """Every amphora on the host."""

    def applied(self, host: str, url: str, amphora_id: str) -> Applied:
        """What is in force of one amphora; outcome ABSENT when the host does not have it."""

    def apply(self, host: str, url: str, desired: Desired) -> Applied:
        """Make an amphora look as wished."""

    def remove(self, host: str, url: str, amphora_id: str, epoch: int, generation: int) -> Applied:
        """Take an amphora away; outcome ABSENT when it is gone, FENCED when a newer epoch knows better."""
