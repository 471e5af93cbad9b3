# SPDX-License-Identifier: Apache-2.0
"""Health checks that the agent makes itself because HAProxy cannot: PING, from inside the amphora's namespace.

What they find is told to HAProxy by `set server ... health`, again for each new process: a server that has not been
found to be down is up, as with HAProxy's own checks.
"""

import asyncio
import contextlib
import logging
import random
import socket
import struct
from collections.abc import Callable

from ottava.agent import namespaces
from ottava.agent.amphora import Amphora
from ottava.agent.runtime import Address, Broken
from ottava.wire.desired import Probe

LOG = logging.getLogger(__name__)

_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_ICMP_FILTER = 1
_SOL_RAW = 255
_PAYLOAD = b"ottava health check"


class Echo:
    """Echo requests and replies of one address family in one namespace. Raises OSError if it cannot be opened."""

    def __init__(self, namespace: str, family: socket.AddressFamily) -> None:
        self._family = family
        self._identifier = random.randrange(1 << 16)  # noqa: S311
        self._sequence = 0
        self._waiting: dict[int, tuple[str, asyncio.Future[None]]] = {}
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        with namespaces.inside(namespace):
            self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        if family == socket.AF_INET:
            self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << _REPLY[family]) & 0xFFFFFFFF))
        else:
            passed = [0xFFFFFFFF] * 8
            passed[_REPLY[family] // 32] &= ~(1 << (_REPLY[family] % 32))
            self._socket.setsockopt(socket.IPPROTO_ICMPV6, _ICMP_FILTER, struct.pack("=8I", *passed))
        asyncio.get_running_loop().add_reader(self._socket, self._received)

    def close(self) -> None:
        """Ask no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    async def answered(self, address: str, timeout: float) -> bool:
        """Whether `address` answers within `timeout` seconds."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        number = self._sequence
        reply = asyncio.get_running_loop().create_future()
        self._waiting[number] = (address, reply)
        try:
            self._socket.sendto(_echo(_REQUEST[self._family], self._identifier, number), (address, 0))
            async with asyncio.timeout(timeout):
                await reply
        except (TimeoutError, OSError):
            return False
        finally:
            self._waiting.pop(number, None)
        return True

    def _received(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                packet, (source, *_) = self._socket.recvfrom(2048)
                if self._family == socket.AF_INET:
                    packet = packet[(packet[0] & 0x0F) * 4 :]
                if len(packet) < 8:
                    continue
                kind, _code, _sum, identifier, number = struct.unpack_from("!BBHHH", packet)
                wanted, reply = self._waiting.get(number, ("", None))
                ours = (kind, identifier) == (_REPLY[self._family], self._identifier) and source == wanted
                if ours and reply and not reply.done():
                    reply.set_result(None)


class Probes:
    """Follows the amphorae. changed(amphora) is called when a server went up or down."""

    def __init__(self, changed: Callable[[Amphora], None]) -> None:
        self._changed = changed
        self._tasks: dict[str, dict[Probe, asyncio.Task[None]]] = {}
        self._echoes: dict[tuple[str, int, socket.AddressFamily], Echo] = {}
        self._told: dict[str, int | None] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def follow(self, amphora: Amphora) -> None:
        """Probe what is wished now, and tell a new process what is known."""
        wished = set(amphora.desired.probes) if amphora.desired else set()
        running = self._tasks.setdefault(amphora.id, {})
        for probe in running.keys() - wished:
            running.pop(probe).cancel()
        servers = {(probe.backend, probe.server) for probe in wished}
        amphora.probed = {server: amphora.probed.get(server) for server in servers}
        for probe in wished - running.keys():
            running[probe] = asyncio.create_task(self._run(amphora, probe))
        if not running:
            self.forget(amphora)
        elif self._told.get(amphora.id) != amphora.haproxy.pid:
            self._told[amphora.id] = amphora.haproxy.pid
            self._tell(amphora, amphora.probed)

    def forget(self, amphora: Amphora) -> None:
        """Probe it no more."""
        for task in self._tasks.pop(amphora.id, {}).values():
            task.cancel()
        for key in [key for key in self._echoes if key[0] == amphora.namespace]:
            self._echoes.pop(key).close()
        self._told.pop(amphora.id, None)

    async def stop(self) -> None:
        """Stop them all."""
        tasks = [task for each in self._tasks.values() for task in each.values()]
        for task in [*tasks, *self._telling]:
            task.cancel()
        await asyncio.gather(*tasks, *self._telling, return_exceptions=True)
        for echo in self._echoes.values():
            echo.close()

    async def _run(self, amphora: Amphora, probe: Probe) -> None:
        server = (probe.backend, probe.server)
        await asyncio.sleep(random.uniform(0.0, min(1.0, probe.delay)))  # noqa: S311
        good = bad = 0
        while True:
            begun = asyncio.get_running_loop().time()
            if await self._ask(amphora, probe):
                good, bad = good + 1, 0
            else:
                good, bad = 0, bad + 1
            verdict = _verdict(amphora.probed.get(server), good, bad, probe)
            if verdict is not None and verdict != amphora.probed.get(server):
                first = amphora.probed.get(server) is None
                amphora.probed[server] = verdict
                if not (first and verdict):
                    self._tell(amphora, {server: verdict})
                self._changed(amphora)
            await asyncio.sleep(max(0.0, begun + probe.delay - asyncio.get_running_loop().time()))

    async def _ask(self, amphora: Amphora, probe: Probe) -> bool:
        try:
            return await self._echo(amphora, probe.address).answered(probe.address, probe.timeout)
        except OSError as error:
            LOG.debug("amphora %s: cannot ping %s: %s", amphora.id, probe.address, error)
            return False

    def _echo(self, amphora: Amphora, address: str) -> Echo:
        """The socket of the namespace that has the amphora's name now."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        key = (amphora.namespace, namespaces.inode(amphora.namespace), family)
        if key not in self._echoes:
            self._echoes[key] = Echo(amphora.namespace, family)
        return self._echoes[key]

    def _tell(self, amphora: Amphora, found: dict[Address, bool | None]) -> None:
        task = asyncio.create_task(asyncio.to_thread(_say, amphora, dict(found)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


def _verdict(before: bool | None, good: int, bad: int, probe: Probe) -> bool | None:
    """The first answer decides; after that it takes `rise` good ones or `fall` bad ones in a row."""
    if before is None:
        return good > 0
    if before:
        return bad < probe.fall
    return good >= probe.rise


def _say(amphora: Amphora, found: dict[Address, bool | None]) -> None:
    """Tell HAProxy. If it does not answer it is about to be replaced, and the next one is told everything."""
    try:
        with amphora.haproxy.runtime() as runtime:
            for (backend, server), up in found.items():
                if up is not None:
                    runtime.say(f"set server {backend}/{server} health {'up' if up else 'down'}")
    except Broken as error:
        LOG.debug("amphora %s: %s", amphora.id, error)


def _echo(kind: int, identifier: int, number: int) -> bytes:
    """An echo request. The kernel computes the checksum for IPv6 itself."""
    body = struct.pack("!HH", identifier, number) + _PAYLOAD + b"\0" * (len(_PAYLOAD) % 2)
    total = sum(struct.unpack(f"!{len(body) // 2}H", body)) + (kind << 8)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBH", kind, 0, ~total & 0xFFFF) + body
