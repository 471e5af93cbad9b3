# SPDX-License-Identifier: Apache-2.0
"""What must not be shared between tests that run at the same time: tags, address ranges, ports."""

import contextlib
import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/tmp/ottava-test-slots")
MOST = 128


@dataclass(frozen=True)
class Slot:
    """A range of the test's own, and a tag."""

    number: int
    tag: str

    @property
    def ipv4(self) -> str:
        return f"198.18.{128 + self.number}.0/24"

    @property
    def ipv6(self) -> str:
        return f"fd00:0:0:{0x1000 + self.number:x}::/64"

    def address(self, host: int) -> str:
        return f"198.18.{128 + self.number}.{host}"

    def address6(self, host: int) -> str:
        return f"fd00:0:0:{0x1000 + self.number:x}::{host:x}"


@contextlib.contextmanager
def slot() -> Iterator[Slot]:
    """A slot that no other process on this machine has, until this ends."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    for number in range(MOST):
        descriptor = os.open(FOLDER / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        try:
            yield Slot(number, f"t{secrets.token_hex(2)[:3]}")
        finally:
            os.close(descriptor)
        return
    raise RuntimeError("all address ranges for tests are taken")


def free_ports(number: int) -> list[int]:
    """Ports on loopback that are free now."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
