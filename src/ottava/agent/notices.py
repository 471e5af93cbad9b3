# SPDX-License-Identifier: Apache-2.0
"""HAProxy's own notices of servers going up and down, read from the log socket in its chroot as they come."""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable

from ottava.agent.amphora import Amphora

_FLIP = re.compile(rb"\b[Ss]erver \S+/\S+ (?:is|was) |\bbackend \S+ has no server")


class Notices:
    """changed(amphora) is called when a server of it went up or down."""

    def __init__(self, changed: Callable[[Amphora], None]) -> None:
        self._changed = changed
        self._open: dict[str, socket.socket] = {}

    def follow(self, amphora: Amphora) -> None:
        """Hear the processes of `amphora`. A datagram that comes while nobody listens is lost, and does no harm."""
        if amphora.id in self._open and amphora.files.log.exists():
            return
        self._close(amphora.id)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            amphora.files.log.unlink(missing_ok=True)
            receiver.bind(str(amphora.files.log))
            os.chmod(amphora.files.log, 0o666)  # noqa: S103 - only those in the chroot get there, and they have no privileges
        except OSError:
            receiver.close()  # the statistics tell the same, later
            return
        self._open[amphora.id] = receiver
        asyncio.get_running_loop().add_reader(receiver, self._read, amphora, receiver)

    def forget(self, amphora: Amphora) -> None:
        """Hear no more."""
        self._close(amphora.id)

    def _close(self, amphora_id: str) -> None:
        if receiver := self._open.pop(amphora_id, None):
            asyncio.get_running_loop().remove_reader(receiver)
            receiver.close()

    def stop(self) -> None:
        """Close all sockets."""
        for amphora_id in list(self._open):
            self._close(amphora_id)

    def _read(self, amphora: Amphora, receiver: socket.socket) -> None:
        flipped = False
        with contextlib.suppress(BlockingIOError):
            while True:
                flipped = _FLIP.search(receiver.recv(4096)) is not None or flipped
        if flipped:
            self._changed(amphora)
