# SPDX-License-Identifier: Apache-2.0
"""HAProxy's runtime API: one conversation over its unix socket."""

import csv
import pathlib
import re
import socket
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import msgspec

TIMEOUT = 5.0
_END = b"\n> "
# What the command line takes as it stands; everything else would need its quoting, or separates commands.
_PLAIN = re.compile(r"[A-Za-z0-9 ._:/,@%+=~()\[\]-]*\Z")
_ADMIN_MAINTENANCE = 0x01 | 0x02 | 0x04
_CHECK_ENABLED = 0x04

Row = dict[str, str]
Address = tuple[str, str]


class Broken(OSError):
    """The conversation ended early: the process is gone or does not answer."""


class ServerState(msgspec.Struct, frozen=True):
    """A server as HAProxy has it.

    running   not held to be down
    checking  HAProxy itself checks its health
    line      its row of `show servers state`, in fields
    """

    backend: str
    name: str
    address: str
    port: int
    weight: int
    maintenance: bool
    running: bool
    checking: bool
    line: tuple[str, ...]


class Runtime:
    """A conversation with one HAProxy process. It stays with that process, also after a reload.

    pid: the process meant. During a reload the old and the new process listen on the same socket, so the one that
    answers may be the other one; then it is asked again. Raises Broken when the process does not answer. Not for use
    by two threads at once.
    """

    def __init__(self, path: pathlib.Path, pid: int, timeout: float = TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while True:
            self._connect(path, timeout)
            if self.pid() == pid:
                return
            self.close()
            if time.monotonic() > deadline:
                raise Broken(f"process {pid} does not answer on {path}")
            time.sleep(0.001)

    def _connect(self, path: pathlib.Path, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
            self._socket.sendall(b"prompt\n")
            self._answer()
        except OSError as error:
            self._socket.close()
            raise Broken(f"HAProxy does not answer on {path}: {error}") from error

    def pid(self) -> int:
        """Of the process at the other end."""
        found = re.search(r"^Pid: (\d+)$", self.say("show info"), re.MULTILINE)
        return int(found[1]) if found else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def say(self, command: str) -> str:
        """Give one command; its answer without blank lines around it."""
        if "\n" in command or not command.isprintable():
            raise ValueError(f"not one command: {command!r}")
        try:
            self._socket.sendall(command.encode() + b"\n")
            return self._answer()
        except OSError as error:
            raise Broken(f"HAProxy stopped answering: {error}") from error

    def statistics(self) -> list[Row]:
        """`show stat` as one dictionary for each frontend, backend and server."""
        text = self.say("show stat")
        return list(csv.DictReader(text.removeprefix("# ").splitlines()))

    def servers(self) -> dict[Address, ServerState]:
        """`show servers state` by (backend, server)."""
        rows = (line.split() for line in self.say("show servers state").splitlines()[2:] if line)
        return {(row[1], row[3]): _server_state(row) for row in rows}

    def _answer(self) -> str:
        received = bytearray()
        while not received.endswith(_END):
            if not (piece := self._socket.recv(1 << 18)):
                raise Broken("HAProxy closed its runtime socket")
            received += piece
            if received == b"> ":
                break
        return received[: -len(_END)].decode(errors="replace").strip("\n") if len(received) > 2 else ""


def plain(words: str) -> bool:
    """Whether `words` mean the same on the runtime API's command line as in a configuration file."""
    return _PLAIN.match(words) is not None


def state_file(rows: Iterable[ServerState]) -> str:
    """The text of a server state file that hands `rows` to the next process."""
    header = (
        "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
        "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
        "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
        "srv_agent_addr srv_agent_port"
    )
    return "\n".join(("1", f"# {header}", *(" ".join(row.line) for row in rows), ""))


def _server_state(row: list[str]) -> ServerState:
    return ServerState(
        backend=row[1],
        name=row[3],
        address=row[4],
        port=int(row[18]),
        weight=int(row[7]),
        maintenance=bool(int(row[6]) & _ADMIN_MAINTENANCE),
        running=row[5] != "0",
        checking=bool(int(row[13]) & _CHECK_ENABLED),
        line=tuple(row),
    )
