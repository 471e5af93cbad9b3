# SPDX-License-Identifier: Apache-2.0
"""Counters of the listeners as totals since the amphora was made, over all of its processes.

HAProxy counts from its start. So the last reading of each process is kept; when a process has ended, its reading joins
the base. What a process counted between its last reading and a sudden death, or while it finished its connections and
no agent ran, is lost.
"""

import pathlib
from collections.abc import Iterable, Mapping

import msgspec

from ottava.agent.files import replace
from ottava.agent.runtime import Row
from ottava.wire.heartbeat import Counters

Readings = dict[str, Counters]


class _Stored(msgspec.Struct):
    base: Readings = {}
    processes: dict[int, Readings] = {}


class Totals:
    """base: of the processes that ended; one reading for each process that lives. Listeners by id."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._written = b""
        self._stored = _Stored()

    def load(self) -> None:
        """Read what an earlier run of the agent stored; an unreadable file counts as none."""
        try:
            self._written = self._path.read_bytes()
            self._stored = msgspec.json.decode(self._written, type=_Stored)
        except (OSError, msgspec.MsgspecError):
            self._stored = _Stored()

    def store(self) -> None:
        """Write them down if they changed. Raises OSError."""
        if (data := msgspec.json.encode(self._stored)) != self._written:
            replace(self._path, data)
            self._written = data

    def read(self, pid: int, rows: Iterable[Row]) -> None:
        """Take the reading of process `pid`."""
        readings = {row["pxname"]: _counters(row) for row in rows if row["svname"] == "FRONTEND"}
        last = self._stored.processes.get(pid, {})
        if any(now.total_connections < last.get(name, Counters()).total_connections for name, now in readings.items()):
            self.ended(pid)  # the number was given to another process
        self._stored.processes[pid] = readings

    def ended(self, pid: int) -> None:
        """Process `pid` counts no more."""
        for name, reading in self._stored.processes.pop(pid, {}).items():
            quiet = msgspec.structs.replace(reading, active_connections=0)
            self._stored.base[name] = add(self._stored.base.get(name, Counters()), quiet)

    def alive(self, pids: Iterable[int]) -> None:
        """Only these processes still count."""
        for pid in self._stored.processes.keys() - set(pids):
            self.ended(pid)

    def keep(self, listeners: Iterable[str]) -> None:
        """Forget listeners that are no more."""
        for name in self._stored.base.keys() - set(listeners):
            del self._stored.base[name]

    def of(self, listener: str) -> Counters:
        """The totals of one listener."""
        total = self._stored.base.get(listener, Counters())
        for readings in self._stored.processes.values():
            total = add(total, readings.get(listener, Counters()))
        return total


def add(one: Counters, other: Counters) -> Counters:
    """Both together, field by field."""
    return Counters(*(a + b for a, b in zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)))


def _counters(row: Mapping[str, str]) -> Counters:
    return Counters(
        active_connections=_number(row["scur"]),
        bytes_in=_number(row["bin"]),
        bytes_out=_number(row["bout"]),
        request_errors=_number(row["ereq"]),
        total_connections=_number(row["stot"]),
    )


def _number(text: str) -> int:
    return int(text) if text else 0
