# SPDX-License-Identifier: Apache-2.0
"""Notices hosts that fall silent, and makes their load balancers due: the plan does the rest."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from ottava.model import errors
from ottava.model.amphora import Amphora
from ottava.model.event import LOST, Event
from ottava.rules.failure import Losses, dead_hosts
from ottava.store import amphorae, events, hosts, work
from ottava.store import engine as engines

LOG = logging.getLogger(__name__)

LOOKS = 10
"""So many looks in the time after which a host counts as lost."""


class Detector:
    """Watches the hosts.

    timeout  seconds of silence after which a host is lost
    brake    the largest share of hosts that may be lost at once and still be replaced
    wake     called when load balancers became due
    events_kept  the most events of a load balancer
    """

    def __init__(
        self,
        engine: Engine,
        timeout: float,
        brake: float,
        wake: Callable[[], None] = lambda: None,
        events_kept: int = 200,
    ) -> None:
        self._engine = engine
        self._timeout = timeout
        self._brake = brake
        self._events_kept = events_kept
        self._wake = wake
        self._before: Losses | None = None

    def run(self, stop: threading.Event) -> None:
        """Look again and again until `stop` is set."""
        level = logging.WARNING
        while not stop.wait(max(0.1, self._timeout / LOOKS)):
            try:
                self.look()
                level = logging.WARNING
            except errors.Refused as error:
                LOG.log(level, "cannot look for lost hosts: %s", error)
                level = logging.DEBUG  # it is said once
            except Exception:
                LOG.exception("looking for lost hosts broke off")

    def look(self) -> Losses:
        """Look once; when the losses are others than at the last look, all their load balancers are due.

        Raises errors.Unavailable.
        """
        with engines.reading(self._engine) as conn:
            known, loads, now = hosts.all(conn), hosts.loads(conn), engines.now(conn)
        losses = dead_hosts(known, now, self._timeout, loads, self._brake)
        before = self._before or Losses()
        news = (losses.silent ^ before.silent) | (losses.replace ^ before.replace)
        if news or self._before is None:

            def write(conn: Connection) -> set[str]:
                due = {each.loadbalancer_id for name in sorted(news) for each in amphorae.on_host(conn, name)}
                work.poke(conn, due)
                amphorae.mark_lost(conn, losses.silent, losses.replace)
                lost = [each for name in sorted(losses.silent & news) for each in amphorae.on_host(conn, name)]
                events.record(conn, map(_lost, lost), self._events_kept)
                return due

            if engines.retrying(self._engine, write):
                self._wake()
            for sentence in losses.sentences:
                LOG.warning("%s", sentence)
            self._before = losses
        return losses


def _lost(amphora: Amphora) -> Event:
    words = f"host {amphora.host} was not heard of for too long"
    return events.new(amphora.loadbalancer_id, LOST, 0, words, of=("amphora", amphora.id))
