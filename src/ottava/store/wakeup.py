# SPDX-License-Identifier: Apache-2.0
"""Wake-ups: hints between the processes of one machine that something is due. They may be lost.

Each listener has a datagram socket of its own in `<run_dir>/wakeups/`; a hint is sent to all of them.
"""

import contextlib
import os
import secrets
import select
import socket
from pathlib import Path
from types import TracebackType
from typing import Self


class Wakeup:
    """The wake-ups of one machine. Sending never blocks and never fails."""

    def __init__(self, run_dir: str | Path) -> None:
        self._folder = Path(run_dir) / "wakeups"

    def send(self) -> None:
        """Wake every listener."""
        try:
            folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                for name in os.listdir(self._folder):
                    _send(sender, folder, name)
        except OSError:
            pass
        finally:
            os.close(folder)

    def listen(self) -> "Listening":
        """Begin to hear wake-ups. Raises OSError when the folder cannot be made."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Listening(self._folder)


def _send(sender: socket.socket, folder: int, name: str) -> None:
    try:
        # By way of /proc, because the path of a socket may have 107 bytes at most.
        sender.sendto(b"!", f"/proc/self/fd/{folder}/{name}")
    except ConnectionRefusedError:  # its process is dead
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
    except OSError:  # a full queue is a wake-up that is on its way already
        pass


class Listening:
    """A listener for wake-ups, for one thread at a time; also a context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.bind(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; True when something came, now or since the last call."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        ready = poll.poll(max(0.0, timeout) * 1000)
        if ready:
            with contextlib.suppress(OSError):
                while self._socket.recv(16):
                    pass
        return bool(ready)

    def close(self) -> None:
        """Stop listening."""
        self._path.unlink(missing_ok=True)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
