# SPDX-License-Identifier: Apache-2.0
"""Plain rtnetlink messages: the few that plumbing needs, ten times faster than a general library.

A message is (type, flags, body). A Socket belongs to the network namespace of the thread that opened it, for
ever, so that a thread need be inside a namespace for the opening alone. Errors are OSError with the kernel's words.
"""

import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

Message = tuple[int, int, bytes]
T = TypeVar("T")

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26

REQUEST, ACK, DUMP, REPLACE, EXCL, CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
MULTI, CAPPED, ACK_TLVS = 0x2, 0x100, 0x200
ERROR, DONE = 2, 3

GROUP_LINK, GROUP_IPV4_ADDRESS, GROUP_IPV4_ROUTE, GROUP_IPV6_ADDRESS, GROUP_IPV6_ROUTE = 0x1, 0x10, 0x40, 0x100, 0x400

UP = 0x1
OPERSTATE_UP = 6
FORWARDING = 3
NODAD, NOPREFIXROUTE = 0x02, 0x200
MAIN_TABLE = 254
STATIC = 4
UNIVERSE, LINK_SCOPE = 0, 253
ONLINK = 4

_SOL_NETLINK, _EXT_ACK, _STRICT = 270, 11, 12
_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_U32 = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Link:
    """A network device. `peer` is the index of a veth's other end; `port_state` is 3 when its bridge forwards."""

    index: int
    name: str
    kind: str
    flags: int
    mtu: int
    mac: str
    master: int
    peer: int
    operstate: int
    port_state: int


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a device, with prefix length; `scope` 0 is global."""

    index: int
    text: str
    scope: int


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route of the main table; `gateway` and `source` are "" when there is none."""

    destination: str
    index: int
    gateway: str
    metric: int
    source: str
    protocol: int


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def attributes(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """(kind, data) of each attribute from `start` on."""
    while start + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            return
        yield kind & 0x3FFF, data[start + 4 : start + length]
        start += (length + 3) & ~3


def _u32(value: int) -> bytes:
    return _U32.pack(value)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def packed(address: str) -> tuple[int, bytes]:
    """(family, bytes) of an IP address without prefix."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _split(text: str) -> tuple[int, bytes, int]:
    address, _, length = text.partition("/")
    family, data = packed(address)
    return family, data, int(length) if length else len(data) * 8


def canonical(text: str) -> str:
    """`text`, an address with prefix length, as the kernel's answers are written here."""
    family, data, length = _split(text)
    return f"{socket.inet_ntop(family, data)}/{length}"


def prefix(text: str) -> str:
    """The network of an address with prefix length: "198.18.0.5/24" gives "198.18.0.0/24"."""
    family, data, length = _split(text)
    bits = len(data) * 8
    number = int.from_bytes(data, "big") >> (bits - length) << (bits - length)
    return f"{socket.inet_ntop(family, number.to_bytes(len(data), 'big'))}/{length}"


def mac_bytes(mac: str) -> bytes:
    """The six bytes of "02:..."."""
    return bytes.fromhex(mac.replace(":", ""))


# ---- messages ----------------------------------------------------------------------------------------------------


def make_bridge(name: str, mac: str, mtu: int) -> Message:
    """A bridge that forwards at once: no spanning tree, no delay, no multicast snooping (which breaks IPv6's ND)."""
    data = attribute(1, _u32(0)) + attribute(5, _u32(0)) + attribute(23, b"\0")
    info = attribute(1, b"bridge\0") + attribute(2, data)
    body = _IFINFO.pack(0, 0, 0, UP, UP) + attribute(3, _text(name)) + attribute(1, mac_bytes(mac))
    return NEWLINK, CREATE | EXCL, body + attribute(4, _u32(mtu)) + attribute(18, info)


def make_veth(name: str, master: int, mtu: int, *, peer: str, peer_mac: str, peer_namespace: int) -> Message:
    """A veth pair: `name` up on bridge `master` here, `peer` (down) in the namespace of that file descriptor."""
    other = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(3, _text(peer)) + attribute(1, mac_bytes(peer_mac))
    other += attribute(4, _u32(mtu)) + attribute(28, _u32(peer_namespace))
    info = attribute(1, b"veth\0") + attribute(2, attribute(1, other))
    body = _IFINFO.pack(0, 0, 0, UP, UP) + attribute(3, _text(name)) + attribute(4, _u32(mtu))
    return NEWLINK, CREATE | EXCL, body + attribute(10, _u32(master)) + attribute(18, info)


def change_link(
    index: int, *, up: bool = False, master: int | None = None, mtu: int | None = None, mac: str | None = None
) -> Message:
    """Set what is given of the device `index`; `up` False leaves it as it is."""
    body = _IFINFO.pack(0, 0, index, UP if up else 0, UP if up else 0)
    if master is not None:
        body += attribute(10, _u32(master))
    if mtu is not None:
        body += attribute(4, _u32(mtu))
    if mac is not None:
        body += attribute(1, mac_bytes(mac))
    return SETLINK, 0, body


def without_link_local(name: str) -> Message:
    """No IPv6 address of its own for a device that is only a bridge's port."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(3, _text(name))
    return SETLINK, 0, body + attribute(26, attribute(10, attribute(8, b"\1")))


def delete_link(index: int) -> Message:
    """Remove the device `index`."""
    return DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0)


def address(index: int, text: str, *, delete: bool = False, prefix_route: bool = True) -> Message:
    """Add or delete an address with prefix length; IPv6 without duplicate detection, usable at once."""
    family, data, length = _split(text)
    flags = (NODAD if family == socket.AF_INET6 else 0) | (0 if prefix_route else NOPREFIXROUTE)
    body = _IFADDR.pack(family, length, flags & 0xFF, 0, index) + attribute(2, data) + attribute(1, data)
    return (DELADDR, 0, body) if delete else (NEWADDR, CREATE | EXCL, body + attribute(8, _u32(flags)))


def route(wanted: Route, *, delete: bool = False) -> Message:
    """Add or delete a route of the main table. A gateway need not lie in a connected network."""
    family, data, length = _split(wanted.destination)
    scope = LINK_SCOPE if family == socket.AF_INET and not wanted.gateway else UNIVERSE
    flags = ONLINK if wanted.gateway and not delete else 0
    body = _ROUTE.pack(family, length, 0, 0, MAIN_TABLE, wanted.protocol, scope, 1, flags)
    if length:
        body += attribute(1, data)
    if wanted.gateway:
        body += attribute(5, packed(wanted.gateway)[1])
    if wanted.source:
        body += attribute(7, packed(wanted.source)[1])
    body += attribute(4, _u32(wanted.index)) + attribute(6, _u32(wanted.metric))
    return (DELROUTE, 0, body) if delete else (NEWROUTE, CREATE | EXCL, body)


# ---- answers -----------------------------------------------------------------------------------------------------


def read_link(body: bytes) -> Link:
    """A Link out of the body of a NEWLINK or DELLINK message."""
    _family, _type, index, flags, _change = _IFINFO.unpack_from(body)
    found = dict(attributes(body, _IFINFO.size))
    info = dict(attributes(found.get(18, b"")))
    port = dict(attributes(info.get(5, b""))) if info.get(4, b"").startswith(b"bridge") else {}
    number = {kind: _U32.unpack(found[kind])[0] for kind in (4, 5, 10) if kind in found}
    return Link(
        index=index,
        name=found.get(3, b"").rstrip(b"\0").decode(),
        kind=info.get(1, b"").rstrip(b"\0").decode(),
        flags=flags,
        mtu=number.get(4, 0),
        mac=found.get(1, b"").hex(":"),
        master=number.get(10, 0),
        peer=number.get(5, 0),
        operstate=found.get(16, b"\0")[0],
        port_state=port.get(1, b"\0")[0],
    )


def read_address(body: bytes) -> Address:
    """An Address out of the body of a NEWADDR or DELADDR message."""
    family, length, _flags, scope, index = _IFADDR.unpack_from(body)
    found = dict(attributes(body, _IFADDR.size))
    return Address(index, f"{socket.inet_ntop(family, found.get(2) or found[1])}/{length}", scope)


def read_route(body: bytes) -> Route:
    """A Route out of the body of a NEWROUTE or DELROUTE message."""
    family, length, _src, _tos, _table, protocol, _scope, _type, _flags = _ROUTE.unpack_from(body)
    found = dict(attributes(body, _ROUTE.size))

    def text(kind: int) -> str:
        return socket.inet_ntop(family, found[kind]) if kind in found else ""

    anywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"
    number = {kind: _U32.unpack(found[kind])[0] for kind in (4, 6) if kind in found}
    return Route(f"{text(1) or anywhere}/{length}", number.get(4, 0), text(5), number.get(6, 0), text(7), protocol)


_ANY_LINK = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(29, _u32(8))  # without the statistics

# ---- sockets -----------------------------------------------------------------------------------------------------


def _refusal(code: int, body: bytes, flags: int) -> OSError:
    """The error of an answer, with the kernel's own words where it gave some."""
    words = os.strerror(code)
    if flags & ACK_TLVS:
        start = 4 + _HEADER.size if flags & CAPPED else 4 + _U32.unpack_from(body, 4)[0]
        said = dict(attributes(body, (start + 3) & ~3)).get(1)
        if said:
            words = f"{words}: {said.rstrip(bytes(1)).decode(errors='replace')}"
    return OSError(code, words)


class Socket:
    """A netlink socket in the network namespace that the opening thread is in. Used by one thread at a time."""

    def __init__(self, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        with contextlib.suppress(OSError):  # kernels before 4.20 send more than was asked for; callers filter too
            self._socket.setsockopt(_SOL_NETLINK, _STRICT, 1)
        self._socket.bind((0, groups))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket, and with it of its namespace."""
        self._socket.close()

    def fileno(self) -> int:
        """For select and its like."""
        return self._socket.fileno()

    def set_blocking(self, blocking: bool) -> None:
        """Whether reading waits; BlockingIOError otherwise."""
        self._socket.setblocking(blocking)

    def _send(self, messages: Iterable[Message], flags: int) -> list[int]:
        parts, numbers = [], []
        for kind, own, body in messages:
            self._sequence += 1
            numbers.append(self._sequence)
            size = _HEADER.size + len(body)
            parts.append(_HEADER.pack(size, kind, REQUEST | flags | own, self._sequence, 0) + body + bytes(-size % 4))
        self._socket.send(b"".join(parts))
        return numbers

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(1 << 18)
        start = 0
        while start + _HEADER.size <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, start)
            yield kind, flags, sequence, data[start + _HEADER.size : start + length]
            start += (length + 3) & ~3

    def outcomes(self, messages: Sequence[Message]) -> list[OSError | None]:
        """Send all in one go, in order; the error of each, or None. A failure does not stop those after it."""
        if not messages:
            return []
        waiting = self._send(messages, ACK)
        answers: dict[int, OSError | None] = {}
        while len(answers) < len(waiting):
            for kind, flags, sequence, body in self._receive():
                if kind == ERROR and sequence in waiting:
                    code = -struct.unpack_from("=i", body)[0]
                    answers[sequence] = _refusal(code, body, flags) if code else None
        return [answers[number] for number in waiting]

    def do(self, *messages: Message, besides: Sequence[int] = ()) -> None:
        """Send all in one go; raise the first error whose errno is not in `besides`."""
        for outcome in self.outcomes(messages):
            if outcome is not None and outcome.errno not in besides:
                raise outcome

    def _dump(self, message: Message, wanted: int, read: Callable[[bytes], T]) -> list[T]:
        (number,) = self._send([message], DUMP)
        found: list[T] = []
        while True:
            for kind, _flags, sequence, body in self._receive():
                if sequence != number:
                    continue
                if kind == DONE:
                    return found
                if kind == ERROR:
                    raise _refusal(-struct.unpack_from("=i", body)[0], body, 0)
                if kind == wanted:
                    found.append(read(body))

    def link(self, name: str) -> Link | None:
        """The device of that name, or None."""
        (number,) = self._send([(GETLINK, 0, _ANY_LINK + attribute(3, _text(name)))], 0)
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != number:
                    continue
                if kind == NEWLINK:
                    return read_link(body)
                if kind == ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code == errno.ENODEV:
                        return None
                    raise _refusal(code, body, flags)

    def links(self) -> list[Link]:
        """Every device of the namespace."""
        return self._dump((GETLINK, 0, _ANY_LINK), NEWLINK, read_link)

    def addresses(self, index: int) -> list[Address]:
        """The addresses of one device."""
        found = self._dump((GETADDR, 0, _IFADDR.pack(0, 0, 0, 0, index)), NEWADDR, read_address)
        return [each for each in found if each.index == index]

    def routes(self, index: int) -> list[Route]:
        """The unicast routes of the main table that leave by one device, IPv4 then IPv6."""
        found: list[Route] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _ROUTE.pack(family, 0, 0, 0, MAIN_TABLE, 0, 0, 1, 0) + attribute(4, _u32(index))
            with contextlib.suppress(OSError):  # no IPv6 here, or no such table yet
                found += self._dump((GETROUTE, 0, body), NEWROUTE, read_route)
        return [each for each in found if each.index == index]

    def notices(self) -> list[tuple[int, bytes]]:
        """What has come for the groups, as (type, body). OSError ENOBUFS when some were lost."""
        return [(kind, body) for kind, _flags, _sequence, body in self._receive()]


_here = threading.local()


def here() -> Socket:
    """A socket in the agent's own namespace, kept for the calling thread, which must not be inside another now."""
    kept: Socket | None = getattr(_here, "socket", None)
    if kept is None:
        kept = _here.socket = Socket()
    return kept
