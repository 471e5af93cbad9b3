# SPDX-License-Identifier: Apache-2.0
"""Agents that keep their amphorae in memory: the same answers as real ones, and no data plane. For tests."""

import threading
from collections.abc import Callable

import msgspec

from ottava.controller.agents import Unreachable
from ottava.wire.applied import Applied, Outcome
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Facts, Report


class MemoryAgents:
    """See agents.Agents.

    down      names of hosts that do not answer
    trouble   called with each Desired before it is applied: an Applied it returns is the answer (and nothing is done),
              what it raises is raised
    """

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.trouble: Callable[[Desired], Applied | None] = lambda desired: None
        self._lock = threading.Lock()
        self._wishes: dict[tuple[str, str], Desired] = {}
        self._fences: dict[tuple[str, str], tuple[int, int]] = {}

    def on(self, host: str) -> dict[str, Desired]:
        """The amphorae of a host by id, with what is in force of each."""
        with self._lock:
            return {amphora_id: wish for (name, amphora_id), wish in self._wishes.items() if name == host}

    def lose(self, host: str, amphora_id: str) -> None:
        """An amphora vanishes, as if somebody deleted its namespace by hand and the agent's memory of it."""
        with self._lock:
            self._wishes.pop((host, amphora_id))

    def facts(self, host: str, url: str) -> Facts:
        """See agents.Agents."""
        self._reach(host)
        return Facts(hostname=host, haproxy=(2, 6, 12), nofile=20000, cpus=2)

    def reports(self, host: str, url: str) -> list[Report]:
        """See agents.Agents."""
        self._reach(host)
        return [
            Report(
                amphora_id=each.amphora_id, loadbalancer_id=each.loadbalancer_id, epoch=each.epoch,
                generation=each.generation, digest=each.digest, running=True,
            )
            for each in self.on(host).values()
        ]  # fmt: skip

    def applied(self, host: str, url: str, amphora_id: str) -> Applied:
        """See agents.Agents."""
        self._reach(host)
        with self._lock:
            return self._say(host, amphora_id)

    def apply(self, host: str, url: str, desired: Desired) -> Applied:
        """See agents.Agents."""
        self._reach(host)
        with self._lock:
            if self._fenced(host, desired.amphora_id, desired.epoch, desired.generation):
                return self._say(host, desired.amphora_id, Outcome.FENCED, "a newer epoch or generation is stored")
        answer = self.trouble(desired)
        if answer:
            return answer
        with self._lock:
            self._wishes[host, desired.amphora_id] = desired
            return self._say(host, desired.amphora_id)

    def remove(self, host: str, url: str, amphora_id: str, epoch: int, generation: int) -> Applied:
        """See agents.Agents."""
        self._reach(host)
        with self._lock:
            if (host, amphora_id) in self._wishes and self._fenced(host, amphora_id, epoch, generation):
                return self._say(host, amphora_id, Outcome.FENCED, "a newer epoch or generation is stored")
            self._wishes.pop((host, amphora_id), None)
            return self._say(host, amphora_id)

    def _reach(self, host: str) -> None:
        if host in self.down:
            raise Unreachable(f"the agent of host {host} does not answer")

    def _fenced(self, host: str, amphora_id: str, epoch: int, generation: int) -> bool:
        """Whether something newer is known; if not, this is the newest from now on."""
        known = self._fences.get((host, amphora_id), (0, 0))
        if (epoch, generation) < known:
            return True
        self._fences[host, amphora_id] = epoch, generation
        return False

    def _say(self, host: str, amphora_id: str, outcome: Outcome | None = None, fault: str = "") -> Applied:
        wish = self._wishes.get((host, amphora_id))
        if wish is None:
            return Applied(amphora_id=amphora_id, outcome=outcome or Outcome.ABSENT, fault=fault)
        said = Applied(
            amphora_id=amphora_id, outcome=Outcome.SERVING, epoch=wish.epoch, generation=wish.generation,
            digest=wish.digest,
        )  # fmt: skip
        return msgspec.structs.replace(said, outcome=outcome, fault=fault) if outcome else said
