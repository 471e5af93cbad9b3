# SPDX-License-Identifier: Apache-2.0
"""What must not be shared between tests that run at the same time: tags, address ranges, ports."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from pathlib import Path

from ottava.agent import namespaces, netlink, teardown

FOLDER = Path("/tmp/ottava-test-slots")
MOST = 128


@dataclass(frozen=True)
class Slot:
    """A range of the test's own, a tag, and a folder, empty at first."""

    number: int

    @property
    def tag(self) -> str:
        return f"t{self.number:02x}"

    @property
    def folder(self) -> Path:
        """Its path is short, since paths of sockets are."""
        return FOLDER / f"{self.number:02x}"

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
    """A slot that no other process on this machine has, until this ends.

    What a killed test left in it is removed first. A slot whose range something else on this machine uses is passed over.
    """
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    for mine in map(Slot, range(MOST)):
        descriptor = os.open(FOLDER / f"{mine.number:02x}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(mine)
            if _is_used(mine):
                continue
            mine.folder.mkdir(mode=0o700)
            yield mine
            shutil.rmtree(mine.folder)
            return
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    raise RuntimeError("all address ranges for tests are taken")


def _clear(mine: Slot) -> None:
    """Remove what a test that was killed has left: processes that were told the folder of the slot, and all the rest."""
    homes = {namespaces.inode(name) for name in namespaces.names(f"{mine.tag}-")}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = f"{mine.folder}/".encode() in (process / "cmdline").read_bytes()
            if told or (process / "ns/net").stat().st_ino in homes:
                os.kill(int(process.name), signal.SIGKILL)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if (where := line.split()[1]).startswith(f"{mine.folder}/"):
            subprocess.run(["umount", "-l", where], check=True)
    teardown.sweep(mine.tag, mine.folder)
    shutil.rmtree(mine.folder, ignore_errors=True)


def _is_used(mine: Slot) -> bool:
    ranges = [ip_network(mine.ipv4), ip_network(mine.ipv6)]
    here = netlink.here()
    addresses = [ip_interface(found.text) for link in here.links() for found in here.addresses(link.index)]
    return any(address.ip in each for address in addresses for each in ranges if address.version == each.version)


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
