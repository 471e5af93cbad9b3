# SPDX-License-Identifier: Apache-2.0
"""Members for tests: small servers, each in a network namespace of its own on the bridge of a network."""

import socket
import subprocess
import sys
import time
from ipaddress import ip_network
from pathlib import Path

from ottava.agent import links, namespaces
from ottava.cloud.network.base import Network
from ottava.wire.desired import Bridge, Interface

SERVER = Path(__file__).parent / "member_server.py"
HTTP_PORT, TCP_PORT = 8080, 9090
FIRST = 200


class Member:
    """A server with an IPv4 and an IPv6 address; runs from the start, may be stopped and started."""

    def __init__(self, name: str, namespace: str, addresses: list[str]) -> None:
        self.name = name
        self.namespace = namespace
        self.address = next(each for each in addresses if ":" not in each)
        self.address6 = next((each for each in addresses if ":" in each), "")
        self.port, self.tcp_port = HTTP_PORT, TCP_PORT
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start serving; returns when it does."""
        with namespaces.inside(self.namespace):
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), self.name, str(self.port), str(self.tcp_port)], stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + 20
        for address in filter(None, (self.address, self.address6)):
            while True:
                try:
                    with socket.create_connection((address, self.tcp_port), timeout=1) as connection:
                        assert connection.recv(100) == f"{self.name}\n".encode()
                        break
                except OSError:
                    assert time.monotonic() < deadline, f"{self.name} does not serve"
                    time.sleep(0.02)

    def stop(self) -> None:
        """Stop serving: connections are refused from now on."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class Members:
    """Makes members on the first network of an Ottava, with the addresses from .200 on."""

    def __init__(self, tag: str, network: Network) -> None:
        self._tag = tag
        self._network = network
        self._made: dict[str, Member] = {}

    def __call__(self, name: str) -> Member:
        """The member of that name, made if it is not there."""
        if name not in self._made:
            self._made[name] = self._make(name, FIRST + len(self._made))
            self._made[name].start()
        return self._made[name]

    def _make(self, name: str, number: int) -> Member:
        namespace = f"{self._tag}-m-{name}"
        ranges = [ip_network(subnet.cidr) for subnet in self._network.subnets]
        gateways = [subnet.gateway for subnet in self._network.subnets]
        addresses = [str(each[number]) for each in ranges]
        bridge = Bridge(
            self._network.bridge,
            tuple(f"{gateway}/{each.prefixlen}" for gateway, each in zip(gateways, ranges, strict=True)),
        )
        namespaces.ensure(namespace)
        links.ensure_bridge(bridge)
        links.ensure_interface(
            self._tag,
            namespace,
            Interface(
                name="net0",
                mac=f"02:00:{number:02x}:" + ":".join(f"{byte:02x}" for byte in self._tag.encode()[-3:]),
                bridge=bridge,
                addresses=tuple(f"{address}/{each.prefixlen}" for address, each in zip(addresses, ranges, strict=True)),
                gateways=tuple(gateways),
            ),
        )
        return Member(name, namespace, addresses)

    def close(self) -> None:
        """End the servers and remove their namespaces."""
        for member in self._made.values():
            member.stop()
            namespaces.delete(member.namespace)
        self._made.clear()
