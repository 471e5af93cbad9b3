# SPDX-License-Identifier: Apache-2.0
"""A stage for the plumbing's tests: a tag, addresses and a directory of the test's own, swept afterwards."""

import http.client
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.slots import Slot, slot

from ottava.agent import links, namespaces, processes, teardown
from ottava.wire.desired import Bridge, Interface

CONFIG = """global
  httpclient.ssl.verify none
  stats socket {run}/{name}.sock level admin expose-fd listeners
  hard-stop-after 10s
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend vip
  bind 0.0.0.0:80
  bind :::80 v6only
  http-request return status 200 content-type text/plain string "{said}"
"""


class _Bound(http.client.HTTPConnection):
    """A connection whose socket is bound to a device, as `curl --interface` does it."""

    def __init__(self, host: str, device: str) -> None:
        super().__init__(host, 80, timeout=5)
        self.device = device

    def connect(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.settimeout(5)
        if self.device:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode() + b"\0")
        self.sock.connect((self.host, 80))


@dataclass(frozen=True)
class Amphora:
    namespace: str
    interface: Interface
    config: Path
    pidfile: Path
    socket: Path


@dataclass(frozen=True)
class Stage:
    slot: Slot
    run: Path

    @property
    def tag(self) -> str:
        return self.slot.tag

    def bridge(self, number: int = 1) -> Bridge:
        """All bridges of the stage have the same networks."""
        return Bridge(f"{self.tag}-b{number:08x}", (f"{self.v4(1)}/24", f"{self.v6(1)}/96"))

    def v4(self, last: int) -> str:
        return self.slot.address(last)

    def v6(self, last: int) -> str:
        return self.slot.address6(last)

    def amphora(self, name: str, last: int = 5, bridge: Bridge | None = None) -> Amphora:
        """An amphora with two addresses ending in `last`; nothing is made yet."""
        seed = sum(name.encode()) % 256
        interface = Interface(
            name="net0",
            mac=f"02:00:00:{seed:02x}:{self.slot.number:02x}:{last:02x}",
            bridge=bridge or self.bridge(),
            addresses=(f"{self.v4(last)}/24", f"{self.v6(last)}/96"),
            gateways=(self.v4(1), self.v6(1)),
        )
        place = self.run / name
        return Amphora(
            f"{self.tag}-{name}",
            interface,
            place.with_suffix(".cfg"),
            place.with_suffix(".pid"),
            place.with_suffix(".sock"),
        )

    def plug(self, amphora: Amphora) -> list[str]:
        """Namespace and interface."""
        namespaces.ensure(amphora.namespace)
        return links.ensure_interface(self.tag, amphora.namespace, amphora.interface)

    def write(self, amphora: Amphora, said: str) -> None:
        """A configuration whose HAProxy answers every request with `said`."""
        name = amphora.config.stem
        amphora.config.write_text(CONFIG.format(run=self.run, name=name, said=said))

    def serve(self, name: str, last: int = 5, bridge: Bridge | None = None, said: str = "") -> tuple[Amphora, int]:
        """A whole amphora and the pid of its HAProxy, which says its name."""
        amphora = self.amphora(name, last, bridge)
        self.plug(amphora)
        self.write(amphora, said or name)
        return amphora, processes.start_haproxy(amphora.namespace, "haproxy", amphora.config, amphora.pidfile)


def ask(address: str, device: str = "") -> str:
    """What is said at an address of the host's surroundings, by one HTTP request."""
    connection = _Bound(address, device)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def ip(*arguments: str) -> str:
    """The output of `ip ...`."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The stage of this test."""
    with slot() as mine:
        found = Stage(mine, mine.folder / "run")
        found.run.mkdir()
        yield found
        teardown.sweep(found.tag, found.run)


@pytest.fixture(name="ask")
def _ask():
    return ask


@pytest.fixture(name="ip")
def _ip():
    return ip


@pytest.fixture(name="changed")
def _changed():
    """A copy of a dataclass or struct with other values."""
    return replace
