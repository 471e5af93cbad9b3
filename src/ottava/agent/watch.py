# SPDX-License-Identifier: Apache-2.0
"""Sees when something of an amphora goes away, and has it repaired at once.

Three eyes: a pidfd for each process, the kernel's notices of deleted links, addresses and routes, and a look at
everything every few seconds, for what neither of them tells.
"""

import asyncio
import contextlib
import logging
import os
import random
import socket
import time
from collections.abc import Coroutine
from typing import Any

from ottava.agent import apply, links, processes
from ottava.agent.amphora import Amphora
from ottava.agent.amphorae import Amphorae

LOG = logging.getLogger(__name__)
LOOK_EVERY = 5.0
CLOSELY_EVERY = 12  # looks
SHORT_LIFE = 10.0
LONGEST_PAUSE = 10.0
GATHER = 0.01


class Watch:
    """Follows the amphorae; `run` is its periodic look."""

    def __init__(self, amphorae: Amphorae, tag: str) -> None:
        self._amphorae = amphorae
        self._tag = tag
        self._pidfds: dict[int, tuple[int, Amphora]] = {}
        self._ends: dict[str, str] = {}
        self._born: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes = links.changes()
        self._gone: set[str] = set()
        self._bridges_touched = False
        asyncio.get_running_loop().add_reader(self._changes.fileno(), self._noticed)

    def follow(self, amphora: Amphora) -> None:
        """Watch its processes and its links."""
        for pid in {amphora.haproxy.pid, *amphora.haproxy.finishing} - {None, *self._pidfds}:
            self._open(amphora, pid)
        if amphora.desired is not None:
            for interface in amphora.desired.interfaces:
                self._ends[links.host_end(self._tag, amphora.namespace, interface.name)] = amphora.id

    def forget(self, amphora: Amphora) -> None:
        """Its links may go; its processes are watched to their end."""
        self._ends = {end: owner for end, owner in self._ends.items() if owner != amphora.id}
        self._born.pop(amphora.id, None)
        self._pauses.pop(amphora.id, None)

    async def run(self) -> None:
        """Look at everything, for ever."""
        number = 0
        while True:
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
            number += 1
            amphorae = list(self._amphorae)
            broken = await asyncio.to_thread(lambda: [each for each in amphorae if not apply.intact(each)])  # noqa: B023
            for amphora in broken:
                await self._amphorae.mend(amphora)
            for amphora in amphorae[number % CLOSELY_EVERY :: CLOSELY_EVERY]:
                await self._amphorae.mend(amphora, thorough=True)

    def stop(self) -> None:
        """Look away."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._changes.fileno())
        self._changes.close()
        for task in self._tasks:
            task.cancel()
        for descriptor, _ in self._pidfds.values():
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._pidfds.clear()

    # ---- processes -----------------------------------------------------------------------------------------------

    def _open(self, amphora: Amphora, pid: int | None) -> None:
        assert pid is not None
        try:
            descriptor = processes.wait_exit(pid)
        except ProcessLookupError:
            asyncio.get_running_loop().call_soon(self._ended, amphora, pid)
            return
        self._pidfds[pid] = (descriptor, amphora)
        self._born[amphora.id] = time.monotonic()
        asyncio.get_running_loop().add_reader(descriptor, self._ended, amphora, pid)

    def _ended(self, amphora: Amphora, pid: int) -> None:
        descriptor, _ = self._pidfds.pop(pid, (None, None))
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        served = amphora.haproxy.pid == pid
        amphora.haproxy.gone(pid)
        if pid not in amphora.replaced:
            amphora.totals.ended(pid)
        if served and amphora.wants_process:
            LOG.warning("amphora %s: HAProxy %s ended", amphora.id, pid)
            self._amphorae.tell(amphora)
            self._spawn(self._revive(amphora))

    async def _revive(self, amphora: Amphora) -> None:
        """At once, and with growing pauses if it keeps dying young."""
        young = time.monotonic() - self._born.get(amphora.id, 0.0) < SHORT_LIFE
        pause = self._pauses.get(amphora.id, 0.0) if young else 0.0
        self._pauses[amphora.id] = min(max(pause * 2, 0.05), LONGEST_PAUSE)
        if pause:
            await asyncio.sleep(pause)
        await self._amphorae.mend(amphora)

    # ---- links ---------------------------------------------------------------------------------------------------

    def _noticed(self) -> None:
        before = bool(self._gone) or self._bridges_touched
        for change in self._changes.read():
            if change.what == "lost":
                self._gone.update(self._ends)
                self._bridges_touched = True
            elif change.name in self._ends:
                self._gone.add(change.name)
            elif self._is_bridge(change.name or _name(change.index)):
                self._bridges_touched = True
        if not before and (self._gone or self._bridges_touched):
            self._spawn(self._restore())

    def _is_bridge(self, name: str) -> bool:
        return name.startswith(f"{self._tag}-b")

    async def _restore(self) -> None:
        await asyncio.sleep(GATHER)
        gone, self._gone = self._gone, set()
        touched, self._bridges_touched = self._bridges_touched, False
        if touched:
            bridges = {each.bridge for one in self._amphorae if one.desired for each in one.desired.interfaces}
            for bridge in bridges:
                with contextlib.suppress(OSError):  # the periodic look tries again
                    if done := await asyncio.to_thread(links.ensure_bridge, bridge):
                        LOG.warning("bridge %s: repaired: %s", bridge.name, "; ".join(done))
        owners = {self._ends.get(end) for end in gone}
        await asyncio.gather(*(self._amphorae.mend(each) for each in self._amphorae if touched or each.id in owners))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index) if index else ""
    except OSError:
        return ""
