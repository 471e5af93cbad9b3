# SPDX-License-Identifier: Apache-2.0
"""What is on its way out: servers in maintenance, and replaced processes, until their last connection ends.

Nothing here ever cuts a connection. A server is deleted when it has none left; a replaced process is read until it has
served its last one, so that what it counted is not lost.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable

from ottava.agent import apply
from ottava.agent.amphora import Amphora
from ottava.agent.runtime import Broken, Row, Runtime

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0


class Departures:
    """changed(amphora) is called when counters moved for the last time."""

    def __init__(self, changed: Callable[[Amphora], None]) -> None:
        self._changed = changed
        self._servers: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[int, asyncio.Task[None]] = {}

    def follow(self, amphora: Amphora) -> None:
        """See to what is leaving `amphora` now."""
        if amphora.leaving and amphora.id not in self._servers:
            self._servers[amphora.id] = asyncio.create_task(self._purge(amphora))
        for pid, conversation in list(amphora.replaced.items()):
            if pid not in self._processes:
                self._processes[pid] = asyncio.create_task(self._read(amphora, pid, conversation))

    def forget(self, amphora: Amphora) -> None:
        """Nothing is left to leave: its conversations are closed, which ends the tasks."""

    async def stop(self) -> None:
        """Leave everything to the next run of the agent."""
        tasks = [*self._servers.values(), *self._processes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _purge(self, amphora: Amphora) -> None:
        pause = FIRST_PAUSE
        try:
            while amphora.leaving:
                async with amphora.lock:
                    amphora.leaving = await asyncio.to_thread(apply.purge, amphora)
                if amphora.leaving:
                    await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
                    pause = min(pause * 2, LONGEST_PAUSE)
        except Broken:
            amphora.leaving = False  # the next process never had those servers
        finally:
            del self._servers[amphora.id]

    async def _read(self, amphora: Amphora, pid: int, conversation: Runtime) -> None:
        pause = FIRST_PAUSE
        try:
            while True:
                rows = await asyncio.to_thread(conversation.statistics)
                amphora.totals.read(pid, rows)
                if not _busy(rows):
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        except Broken:
            return
        finally:
            conversation.close()
            amphora.totals.ended(pid)
            amphora.replaced.pop(pid, None)
            del self._processes[pid]
            with contextlib.suppress(RuntimeError):
                self._changed(amphora)


def _busy(rows: list[Row]) -> bool:
    return any(row["svname"] == "FRONTEND" and row["scur"] not in {"", "0"} for row in rows)
