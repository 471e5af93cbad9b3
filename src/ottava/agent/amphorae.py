# SPDX-License-Identifier: Apache-2.0
"""All amphorae of this host: who may change one when, and who hears of it.

One change at a time for an amphora; the blocking work is done in threads.
"""

import asyncio
import contextlib
import functools
import logging
import pathlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from ottava.agent import apply, files, namespaces, processes, report
from ottava.agent.amphora import Amphora
from ottava.agent.files import Fence
from ottava.agent.runtime import Broken, Row, Runtime
from ottava.agent.settings import Settings
from ottava.wire.applied import Applied, Outcome
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Report

LOG = logging.getLogger(__name__)
THREADS = 8
BATCH = 16
READING_TIMEOUT = 1.0


class Follower(Protocol):
    """Someone who must know when an amphora was changed or is gone."""

    def follow(self, amphora: Amphora) -> None:
        """`amphora` was changed; called in the event loop, and must be quick."""

    def forget(self, amphora: Amphora) -> None:
        """`amphora` is no more."""


class Amphorae:
    """ready is set when the amphorae that were there at the start have been taken over."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._all: dict[str, Amphora] = {}
        self._followers: list[Follower] = []
        self._left: dict[str, list[int]] = {}
        self._scanned = asyncio.Event()
        self.ready = asyncio.Event()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))

    def __iter__(self) -> Iterator[Amphora]:
        return iter([amphora for amphora in self._all.values() if amphora.desired is not None])

    def followed_by(self, follower: Follower) -> None:
        """From now on `follower` hears of every change."""
        self._followers.append(follower)

    # ---- orders --------------------------------------------------------------------------------------------------

    async def put(self, wish: Desired) -> Applied:
        """Bring `wish` into force. Of several orders for one amphora that wait, only the newest is applied."""
        return await self._order(wish.amphora_id, (wish.epoch, wish.generation), functools.partial(_apply, wish))

    async def delete(self, amphora_id: str, fence: Fence) -> Applied:
        """Take an amphora off this host. Raises ValueError if the id is no UUID."""
        return await self._order(amphora_id, fence, functools.partial(_remove, fence))

    async def state(self, amphora_id: str) -> Applied:
        """The amphora as it is found. Raises ValueError if the id is no UUID."""
        await self._scanned.wait()
        amphora = self._all.get(amphora_id)
        if amphora is None:
            return apply.state(Amphora(self._settings, amphora_id))
        if not amphora.adopted:
            async with amphora.lock:
                await self._take_over(amphora)
        return apply.state(amphora)

    async def mend(self, amphora: Amphora, thorough: bool = False) -> None:
        """Repair the amphora if something is wrong with it; `thorough` looks closely even if nothing seems to be."""
        async with amphora.lock:
            if amphora.desired is None or not (thorough or not await asyncio.to_thread(apply.intact, amphora)):
                return
            fault = amphora.fault
            actions = await asyncio.to_thread(apply.repair, amphora)
            self._settle(amphora)
            if actions or fault != amphora.fault:
                LOG.warning("amphora %s: repaired: %s. %s", amphora.id, "; ".join(actions) or "-", amphora.fault)
                self.tell(amphora)

    async def adopt(self) -> None:
        """Take over what runs, repair what does not, and remove what is ours but wished by nobody."""
        run_dir = pathlib.Path(self._settings.run_dir) / "amphorae"
        for pidfile, pids in (await asyncio.to_thread(processes.everything, run_dir)).items():
            self._left.setdefault(pidfile.parent.name, []).extend(pids)
        prefix = f"{self._settings.tag}-"
        known = {name.removeprefix(prefix) for name in namespaces.names(prefix)}
        known |= {*self._left, *files.stored(self._settings.state_dir)}
        for amphora_id in sorted(known):
            with contextlib.suppress(ValueError):  # no amphora of ours has such a name
                self._all[amphora_id] = Amphora(self._settings, amphora_id)
        self._scanned.set()
        found = list(self._all.values())
        outcomes = await asyncio.gather(*(self._adopt(amphora) for amphora in found), return_exceptions=True)
        for amphora, outcome in zip(found, outcomes, strict=True):
            if isinstance(outcome, Exception):
                LOG.error("amphora %s: could not be taken over", amphora.id, exc_info=outcome)
        self.ready.set()

    # ---- reports -------------------------------------------------------------------------------------------------

    async def reports(self, amphorae: Iterable[Amphora]) -> tuple[Report, ...]:
        """The amphorae as they are now; those that are gone meanwhile are left out."""
        wanted = list(amphorae)
        batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
        found: list[Report] = []
        for batch in batches:
            rows = await asyncio.to_thread(lambda: [_rows(amphora) for amphora in batch])  # noqa: B023
            found += [
                _report(amphora, *each)
                for amphora, each in zip(batch, rows, strict=True)
                if amphora.desired is not None
            ]
        return tuple(found)

    async def store_counters(self) -> None:
        """Write the counters down where they changed."""
        for amphora in self:
            try:
                amphora.totals.store()
            except OSError as error:
                LOG.debug("amphora %s: its counters could not be stored: %s", amphora.id, error)
            await asyncio.sleep(0)

    def tell(self, amphora: Amphora) -> None:
        """All followers hear that the amphora changed."""
        for follower in self._followers:
            if amphora.desired is None:
                follower.forget(amphora)
            else:
                follower.follow(amphora)

    # ---- inside --------------------------------------------------------------------------------------------------

    async def _order(self, amphora_id: str, fence: Fence, work: "functools.partial[Applied]") -> Applied:
        await self._scanned.wait()
        while True:
            amphora = self._all.get(amphora_id)
            if amphora is None:
                amphora = self._all[amphora_id] = Amphora(self._settings, amphora_id)
            amphora.offered = max(amphora.offered, fence)
            async with amphora.lock:
                if self._all.get(amphora_id) is not amphora:
                    continue  # it was removed while this order waited
                await self._take_over(amphora)
                applied = await asyncio.to_thread(work, amphora)
                self._settle(amphora)
                if amphora.desired is None and applied.outcome is Outcome.ABSENT:
                    del self._all[amphora_id]
                if applied.outcome is not Outcome.FENCED:
                    self.tell(amphora)
            _log(applied)
            return applied

    async def _adopt(self, amphora: Amphora) -> None:
        async with amphora.lock:
            await self._take_over(amphora)
            if amphora.desired is None and self._all.get(amphora.id) is amphora:
                await asyncio.to_thread(apply.clear, amphora, [])
                del self._all[amphora.id]
                LOG.warning("amphora %s: removed, nothing says that it is wished", amphora.id)

    async def _take_over(self, amphora: Amphora) -> None:
        """Once, before anything else: see what an earlier run of the agent left."""
        if amphora.adopted:
            return
        actions = await asyncio.to_thread(apply.adopt, amphora, self._left.pop(amphora.id, []))
        amphora.adopted = True
        if amphora.desired is not None:
            LOG.info("amphora %s: taken over. %s %s", amphora.id, "; ".join(actions), amphora.fault)
            self._settle(amphora)
            self.tell(amphora)

    def _settle(self, amphora: Amphora) -> None:
        """Counters of processes that ended meanwhile join the base."""
        amphora.totals.alive(amphora.counting())


def _apply(wish: Desired, amphora: Amphora) -> Applied:
    return apply.apply(amphora, wish)


def _remove(fence: Fence, amphora: Amphora) -> Applied:
    return apply.remove(amphora, fence)


def _rows(amphora: Amphora) -> tuple[int, list[Row]] | tuple[None, None]:
    """What HAProxy counts; (None, None) if it does not answer. Once more if it was just replaced."""
    for _ in range(2):
        pid = amphora.haproxy.pid
        if pid is None:
            break
        try:
            with Runtime(amphora.files.socket, pid, READING_TIMEOUT) as runtime:
                return pid, runtime.statistics()
        except Broken:
            continue
    return None, None


def _report(amphora: Amphora, pid: int | None, rows: list[Row] | None) -> Report:
    force = amphora.desired
    assert force is not None
    if pid in amphora.counting() and pid is not None and rows is not None:
        amphora.totals.read(pid, rows)
    return Report(
        amphora_id=amphora.id,
        loadbalancer_id=force.loadbalancer_id,
        epoch=force.epoch,
        generation=force.generation,
        digest=force.digest,
        running=amphora.running,
        fault=amphora.fault,
        listeners=report.listeners(rows or (), amphora.totals.of),
        pools=report.pools(rows or (), amphora.servers(), amphora.probed),
    )


def _log(applied: Applied) -> None:
    level = logging.INFO if applied.outcome in {Outcome.SERVING, Outcome.ABSENT} else logging.WARNING
    said = "; ".join(applied.actions) or "nothing changed"
    LOG.log(level, "amphora %s: %s: %s. %s", applied.amphora_id, applied.outcome, said, applied.fault)
