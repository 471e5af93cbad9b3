# SPDX-License-Identifier: Apache-2.0
"""Writes down heartbeats: whatever has come in while the last transaction ran goes into the next one."""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future

from sqlalchemy import Connection, Engine

from ottava.crash import crash_point
from ottava.model import errors
from ottava.model.event import SEEN, Event
from ottava.model.graph import RESOURCES, LoadBalancerGraph
from ottava.rules import health
from ottava.store import engine as engines
from ottava.store import events, graphs, heartbeats, hosts, work
from ottava.wire.heartbeat import Heartbeat, Report

LOG = logging.getLogger(__name__)

MOST = 200
"""Heartbeats in one transaction: other writers must get their turn."""

MOST_TOLD = 20
"""Changes of one load balancer that are told one by one."""

Waiting = tuple[Heartbeat, "Future[bool]"]


class Recorder:
    """Takes heartbeats from many threads and writes them in one.

    host_timeout  seconds after which a host that is heard of again was away
    wake          called when load balancers became due
    events_kept   the most events of a load balancer
    """

    def __init__(
        self, engine: Engine, host_timeout: float, wake: Callable[[], None] = lambda: None, events_kept: int = 200
    ) -> None:
        self._engine = engine
        self._host_timeout = host_timeout
        self._wake = wake
        self._events_kept = events_kept
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()

    def submit(self, heartbeat: Heartbeat) -> "Future[bool]":
        """Have it written down; the future says whether the host should send everything, or raises errors.Unavailable."""
        future: Future[bool] = Future()
        self._queue.put((heartbeat, future))
        return future

    def run(self, stop: threading.Event) -> None:
        """Write until `close` is called."""
        while not stop.is_set():
            batch = self._batch()
            if batch:
                self._answer(batch)

    def close(self) -> None:
        """End `run` once it has seen that it is to stop."""
        self._queue.put(None)

    def _batch(self) -> list[Waiting]:
        """All that waits, at least one unless it is time to end."""
        found = [self._queue.get()]
        while len(found) < MOST:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return [each for each in found if each is not None]

    def _answer(self, batch: Sequence[Waiting]) -> None:
        try:
            full = self.record([heartbeat for heartbeat, _ in batch])
        except Exception as error:
            if not isinstance(error, errors.Refused):
                LOG.exception("heartbeats could not be recorded")
            for _, future in batch:
                future.set_exception(errors.Unavailable(reason=str(error)))
            return
        for (_, future), answer in zip(batch, full, strict=True):
            future.set_result(answer)

    def record(self, batch: Sequence[Heartbeat]) -> list[bool]:
        """Write heartbeats, in order, with all that follows from them; for each whether its host should send everything.

        Raises errors.Unavailable.
        """

        def write(conn: Connection) -> tuple[list[bool], bool]:
            now = engines.now(conn)
            before = {host.name: host for host in hosts.all(conn)}
            if all(now - host.last_seen >= self._host_timeout for host in before.values()):
                # Nobody was heard for so long: that says nothing of any host, and the first one back must not
                # make the others look lost.
                hosts.reprieve(conn)
            receipts = heartbeats.record(conn, batch)
            due: set[str] = set()
            for loadbalancer_id in sorted({id for receipt in receipts for id in receipt.changed}):
                due |= _follow(conn, loadbalancer_id, self._events_kept)
            fresh = {each.host for each, receipt in zip(batch, receipts, strict=True) if receipt.fresh}
            for name in sorted(fresh):
                known = before.get(name)
                if known is None or now - known.last_seen >= self._host_timeout:
                    LOG.info("host %s %s", name, "is new" if known is None else "is back")
                    due |= work.waiting(conn)
            work.poke(conn, due)
            return [receipt.full for receipt in receipts], bool(due)

        full, anything_due = engines.retrying(self._engine, write)
        crash_point("health:recorded")
        if anything_due:
            self._wake()
        return full


def _follow(conn: Connection, loadbalancer_id: str, events_kept: int) -> set[str]:
    """Write what the reports of a load balancer say of its statuses; its id if something is to be done about it."""
    graph = graphs.load(conn, loadbalancer_id)
    if graph is None:
        return set()
    reports = heartbeats.reports(conn, loadbalancer_id)
    changes = health.operating(graph, reports)
    if changes:
        graphs.set_operating(conn, changes)
        events.record(conn, _seen(graph, changes), events_kept)
        events.prune(conn, loadbalancer_id, events_kept)
        crash_point("health:before-commit")
    return {loadbalancer_id} if _amiss(graph, reports) else set()


def _seen(graph: LoadBalancerGraph, changes: Sequence[graphs.Change]) -> Iterator[Event]:
    """What there is to tell of changes of operating statuses; many are told in one."""
    id = graph.load_balancer.id
    if len(changes) > MOST_TOLD:
        count = Counter((kind, state) for kind, _, state in changes)
        words = ", ".join(f"{number} {RESOURCES[kind].kind.plural} {state}" for (kind, state), number in count.items())
        yield events.new(id, SEEN, graph.generation, words)
        return
    for kind, of, state in changes:
        yield events.new(id, SEEN, graph.generation, f"{RESOURCES[kind].kind.word.lower()} {state}", of=(kind, of))


def _amiss(graph: LoadBalancerGraph, reports: Iterable[Report]) -> bool:
    """Whether an amphora is not there, does not run, or is not as it was applied.

    While a newer wish is being applied all of that is expected, and a worker is at it anyway.
    """
    if graph.generation != graph.observed_generation:
        return False
    by_id = {report.amphora_id: report for report in reports}
    for amphora_id in graph.amphorae:
        report = by_id.get(amphora_id)
        if report is None or not report.running or report.fault or report.generation != graph.observed_generation:
            return True
    return False
