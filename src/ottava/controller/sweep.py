# SPDX-License-Identifier: Apache-2.0
"""Find and remove what nobody wants any more: amphorae and addresses without a load balancer.

They are left behind by hosts that were lost while their load balancers went, and by creations that broke off.
"""

import logging
import time
from collections.abc import Callable

from ottava.controller.agents import AgentError
from ottava.controller.turn import Tools
from ottava.model.amphora import Host
from ottava.store import amphorae, hosts
from ottava.store import engine as engines
from ottava.store.addresses import Addresses
from ottava.wire.applied import Outcome
from ottava.wire.heartbeat import Report

LOG = logging.getLogger(__name__)

CAUTION = 10
"""So many times longer is the grace when the database knows of no amphora at all: it may be the wrong database."""


class Sweep:
    """Remembers since when each orphan is known, so that nothing young is removed."""

    def __init__(self, tools: Tools, clock: Callable[[], float] = time.monotonic) -> None:
        self._tools = tools
        self._addresses = Addresses(tools.engine)
        self._clock = clock
        self._since: dict[str, float] = {}

    def once(self) -> list[str]:
        """Look at every host and every address; what was done, in words. Raises errors.Unavailable."""
        with engines.reading(self._tools.engine) as conn:
            known_hosts = hosts.all(conn)
        seen: set[str] = set()
        found: list[tuple[Host, Report]] = []
        for host in known_hosts:
            try:
                found += [(host, report) for report in self._tools.agents.reports(host.name, host.url)]
            except AgentError as error:
                LOG.info("cannot sweep: %s", error)
        said = []
        # The books are read after the hosts: an amphora is on the books before its host hears of it.
        with engines.reading(self._tools.engine) as conn:
            known = amphorae.all_ids(conn)
        grace = self._tools.settings.orphan_grace * (1 if known else CAUTION)
        for host, report in found:
            if report.amphora_id not in known:
                seen.add(report.amphora_id)
                if self._ripe(report.amphora_id, grace):
                    said += self._remove(host, report)
        said += self._release(seen)
        self._since = {key: since for key, since in self._since.items() if key in seen}
        for sentence in said:
            LOG.info("%s", sentence)
        return said

    def _ripe(self, key: str, grace: float) -> bool:
        now = self._clock()
        return now - self._since.setdefault(key, now) >= grace

    def _remove(self, host: Host, report: Report) -> list[str]:
        try:
            answer = self._tools.agents.remove(host.name, host.url, report.amphora_id, report.epoch, report.generation)
        except AgentError as error:
            return [f"amphora {report.amphora_id}, which nobody wants, stays: {error}"]
        if answer.outcome is not Outcome.ABSENT:
            return [f"amphora {report.amphora_id}, which nobody wants, stays: {answer.fault}"]
        return [f"removed amphora {report.amphora_id} from host {host.name}: no load balancer wants it"]

    def _release(self, seen: set[str]) -> list[str]:
        """Give back the addresses of load balancers that do not exist (any more)."""
        said = []
        for owner in {each.owner for each in self._addresses.ownerless()}:
            seen.add(owner)
            if self._ripe(owner, self._tools.settings.orphan_grace):
                self._tools.network.release_port("", owner)
                said.append(f"released the addresses of load balancer {owner}, which does not exist")
        return said
