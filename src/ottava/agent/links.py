# SPDX-License-Identifier: Apache-2.0
"""Bridges of the host, and the interfaces of amphorae: veth pairs, their addresses and routes.

Each `ensure_...` compares what is there with what is wanted, mends what differs and answers one sentence for each
thing done; a second call answers nothing. Names are `<tag>-b<8 hex>` for bridges, `<tag>-v<8 hex>` for host ends.
"""

import contextlib
import errno
import hashlib
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ottava.agent import namespaces, netlink
from ottava.agent.netlink import Link, Route, Socket
from ottava.wire.desired import Bridge, Interface

# A bridge with ports must not vanish between "it has none" and its removal.
_bridges = threading.Lock()

_FIRST_METRIC = 1000
_LINK_UP_SECONDS = 2.0
_GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)


def host_end(tag: str, namespace: str, name: str) -> str:
    """The name on the host of the veth whose other end is interface `name` in `namespace`: always the same."""
    return f"{tag}-v{hashlib.sha256(f'{namespace}/{name}'.encode()).hexdigest()[:8]}"


def is_ours(tag: str, name: str) -> bool:
    """Whether a device of the host by this name carries `tag`."""
    return re.fullmatch(rf"{re.escape(tag)}-[bv][0-9a-f]{{8}}", name) is not None


def _bridge_mac(name: str) -> str:
    """A fixed address: left to itself a bridge takes its lowest port's, and neighbours lose it when that port goes."""
    return bytes([2, *hashlib.sha256(name.encode()).digest()[:5]]).hex(":")


def within(namespace: str) -> Socket:
    """A netlink socket of that namespace; the caller closes it."""
    with namespaces.inside(namespace):
        return Socket()


# ---- bridges -----------------------------------------------------------------------------------------------------


def ensure_bridge(bridge: Bridge, metric: int | None = None) -> list[str]:
    """Make or mend a bridge with the host's addresses on it.

    The routes to its networks carry a metric of the bridge's own (1000 + its index unless given), so that two
    bridges with one CIDR are both reached by a socket bound to the device. Raises OSError.
    """
    with _bridges:
        here = netlink.here()
        done: list[str] = []
        found = here.link(bridge.name)
        if found is None:
            here.do(netlink.make_bridge(bridge.name, _bridge_mac(bridge.name), bridge.mtu), besides=(errno.EEXIST,))
            done.append(f"made bridge {bridge.name}")
            found = here.link(bridge.name)
        if found is None or found.kind != "bridge":
            raise OSError(errno.EEXIST, f"{bridge.name} is on this host already and is no bridge")
        done += _mend_link(here, found, bridge.mtu, _bridge_mac(bridge.name))
        wanted = {
            Route(netlink.prefix(each), found.index, "", metric or _FIRST_METRIC + found.index, "", netlink.STATIC)
            for each in bridge.addresses
        }
        done += _mend_addresses(here, found, bridge.addresses, prefix_route=False)
        done += _mend_routes(here, found, wanted)
        if done:
            _tolerate_overlap(bridge.name)
        return done


def _tolerate_overlap(name: str) -> None:
    """Where the host filters by the strict reverse path, a network that a second bridge has too would be dropped.

    The setting of this one bridge of ours outweighs the host's (the higher number counts; 2 is the loose filter).
    """
    with contextlib.suppress(OSError):
        strict = {Path(f"/proc/sys/net/ipv4/conf/{each}/rp_filter").read_text().strip() for each in ("all", name)}
        if "1" in strict:
            Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("2")


def remove_bridge(name: str) -> bool:
    """Remove a bridge that has no ports any more; True if it is gone by this call."""
    with _bridges:
        here = netlink.here()
        found = here.link(name)
        if found is None or found.kind != "bridge" or any(link.master == found.index for link in here.links()):
            return False
        here.do(netlink.delete_link(found.index), besides=_GONE)
        return True


# ---- interfaces --------------------------------------------------------------------------------------------------


def ensure_interface(tag: str, namespace: str, interface: Interface) -> list[str]:
    """Make or mend the interface of an amphora, its bridge included if that is not there.

    When it returns the bridge forwards for it. Raises FileNotFoundError without the namespace, OSError.
    """
    here = netlink.here()
    done: list[str] = []
    if here.link(interface.bridge.name) is None:
        done += ensure_bridge(interface.bridge)
    outer = host_end(tag, namespace, interface.name)
    with contextlib.closing(within(namespace)) as there:
        made = _ensure_pair(here, there, namespace, outer, interface)
        done += made
        inner = there.link(interface.name)
        if inner is None:
            raise OSError(errno.ENODEV, f"interface {interface.name} of {namespace} went away again")
        done += _ensure_loopback(there)
        done += _mend_link(there, inner, interface.mtu, interface.mac, quiet=bool(made))
        done += _mend_addresses(there, inner, interface.addresses, prefix_route=True, empty=bool(made))
        done += _mend_routes(there, inner, _default_routes(interface, inner.index), empty=bool(made))
    if done:
        _wait_forwarding(here, outer)
    return done


def _ensure_pair(here: Socket, there: Socket, namespace: str, outer: str, interface: Interface) -> list[str]:
    """Both ends of the veth, tied to each other, the host's end up on the right bridge."""
    left, right = here.link(outer), there.link(interface.name)
    if left and right and right.kind == "veth" and left.peer == right.index and right.peer == left.index:
        return _mend_host_end(here, left, interface)
    done: list[str] = []
    for end, where in ((left, here), (right, there)):
        if end is not None:
            where.do(netlink.delete_link(end.index), besides=_GONE)
            done.append(f"removed the stray device {end.name}")
    with _bridges:
        bridge = _bridge_index(here, interface.bridge.name)
        handle = namespaces.handle(namespace)
        try:
            pair = netlink.make_veth(
                outer,
                bridge,
                interface.mtu,
                peer=interface.name,
                peer_mac=interface.mac,
                peer_namespace=handle,
            )
            here.do(pair, netlink.without_link_local(outer), besides=(errno.EAFNOSUPPORT,))
        finally:
            os.close(handle)
    return [*done, f"made interface {interface.name} on bridge {interface.bridge.name}"]


def _bridge_index(here: Socket, name: str) -> int:
    found = here.link(name)
    if found is None:
        raise OSError(errno.ENODEV, f"there is no bridge {name}")
    return found.index


def _mend_host_end(here: Socket, left: Link, interface: Interface) -> list[str]:
    bridge = _bridge_index(here, interface.bridge.name)
    done = []
    if left.master != bridge:
        here.do(netlink.change_link(left.index, master=bridge))
        done.append(f"put interface {interface.name} on bridge {interface.bridge.name}")
    if not left.flags & netlink.UP or left.mtu != interface.mtu:
        here.do(netlink.change_link(left.index, up=True, mtu=interface.mtu))
        done.append(f"brought the host's end of {interface.name} up")
    return done


def _ensure_loopback(there: Socket) -> list[str]:
    loopback = there.link("lo")
    if loopback is None or loopback.flags & netlink.UP:
        return []
    there.do(netlink.change_link(loopback.index, up=True))
    return ["brought the loopback up"]


def _default_routes(interface: Interface, index: int) -> set[Route]:
    """The default routes; where several interfaces have one, the first interface's is preferred."""
    digits = re.search(r"\d+\Z", interface.name)
    metric = 100 + int(digits.group() if digits else 0)
    return {
        Route("::/0" if ":" in gateway else "0.0.0.0/0", index, netlink.canonical(gateway).split("/")[0], metric, "", 4)
        for gateway in interface.gateways
    }


def _wait_forwarding(here: Socket, name: str) -> None:
    """Until the bridge forwards for its port `name`: packets sent before that are lost, and retried a second later."""
    deadline = time.monotonic() + _LINK_UP_SECONDS
    pause = 0.0001
    while True:
        found = here.link(name)
        if found and found.operstate == netlink.OPERSTATE_UP and found.port_state == netlink.FORWARDING:
            return
        if time.monotonic() > deadline:
            raise OSError(errno.ENETDOWN, f"{name} did not come up within {_LINK_UP_SECONDS:g} seconds")
        time.sleep(pause)
        pause = min(pause * 2, 0.01)


def prune_interfaces(namespace: str, keep: set[str]) -> list[str]:
    """Remove the veth interfaces of the namespace that are not in `keep`; nothing if there is no such namespace."""
    done = []
    with contextlib.suppress(FileNotFoundError), contextlib.closing(within(namespace)) as there:
        for link in there.links():
            if link.kind == "veth" and link.name not in keep:
                there.do(netlink.delete_link(link.index), besides=_GONE)
                done.append(f"removed interface {link.name}")
    return done


# ---- what both have: link, addresses, routes ---------------------------------------------------------------------


def _mend_link(where: Socket, found: Link, mtu: int, mac: str, *, quiet: bool = False) -> list[str]:
    """Up, with the right MTU and hardware address."""
    done = []
    if found.mtu != mtu:
        done.append(f"set the MTU of {found.name} to {mtu}")
    if found.mac != mac.lower():
        done.append(f"set the hardware address of {found.name} to {mac}")
    if not found.flags & netlink.UP and not quiet:
        done.append(f"brought {found.name} up")
    if done or quiet:
        where.do(netlink.change_link(found.index, up=True, mtu=mtu, mac=mac))
    return done


def _mend_addresses(
    where: Socket, found: Link, addresses: tuple[str, ...], *, prefix_route: bool, empty: bool = False
) -> list[str]:
    """Exactly these global addresses. New ones come before old ones go."""

    def add(some: list[str]) -> None:
        messages = [netlink.address(found.index, each, prefix_route=prefix_route) for each in some]
        where.do(*messages, besides=(errno.EEXIST,))

    wanted = {netlink.canonical(each): None for each in addresses}
    present = set() if empty else _global_addresses(where, found)
    new = [each for each in wanted if each not in present]
    old = [each for each in present if each not in wanted]
    add(new)
    if old:
        where.do(*(netlink.address(found.index, each, delete=True) for each in old), besides=_GONE)
        left = _global_addresses(where, found)  # with the first address of a network the kernel takes its others away
        add([each for each in wanted if each not in left])
    return [f"added {each} to {found.name}" for each in new] + [f"removed {each} from {found.name}" for each in old]


def _global_addresses(where: Socket, found: Link) -> set[str]:
    return {each.text for each in where.addresses(found.index) if each.scope == netlink.UNIVERSE}


def _mend_routes(where: Socket, found: Link, wanted: set[Route], *, empty: bool = False) -> list[str]:
    """Exactly these routes of ours; those that the kernel or others made stay."""
    present = set() if empty else {each for each in where.routes(found.index) if each.protocol == netlink.STATIC}
    new, old = wanted - present, present - wanted
    where.do(*(netlink.route(each, delete=True) for each in old), besides=_GONE)
    where.do(*(netlink.route(each) for each in new), besides=(errno.EEXIST,))
    return [f"routed {each.destination} by {found.name}" for each in new] + [
        f"removed the route to {each.destination} by {found.name}" for each in old
    ]


# ---- telling the neighbours --------------------------------------------------------------------------------------


def announce(namespace: str, interface: Interface, *, count: int = 2) -> None:
    """Tell every neighbour on the bridge which hardware address has the interface's addresses.

    Sends `count` gratuitous ARP requests or unsolicited neighbour advertisements for each. Raises OSError.
    """
    with namespaces.inside(namespace):
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        packets.bind((interface.name, 0))
        for frame in [_announcement(interface.mac, each.partition("/")[0]) for each in interface.addresses] * count:
            packets.send(frame)
    finally:
        # The kernel waits a grace period (8 to 16 ms) when a packet socket is closed; nobody else need.
        threading.Thread(target=packets.close, name="close-packets").start()


def _announcement(mac: str, address: str) -> bytes:
    """The Ethernet frame: ARP for IPv4, a neighbour advertisement to all nodes for IPv6."""
    own = netlink.mac_bytes(mac)
    family, data = netlink.packed(address)
    if family == socket.AF_INET:
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + data + bytes(6) + data
        return b"\xff" * 6 + own + struct.pack("!H", 0x0806) + arp
    target = socket.inet_pton(socket.AF_INET6, "ff02::1")
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + data + b"\x02\x01" + own
    total = sum(struct.unpack(f"!{(40 + len(body)) // 2}H", data + target + struct.pack("!II", len(body), 58) + body))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
    packet = struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + data + target + body
    return b"\x33\x33\x00\x00\x00\x01" + own + struct.pack("!H", 0x86DD) + packet


# ---- hearing of changes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What was taken away on the host: `what` is "link", "address" or "route", or "lost" when notices were missed."""

    what: str
    index: int = 0
    name: str = ""


class Changes:
    """Notices of deletions on the host, from the moment it is made. A file for select; `read` never blocks."""

    def __init__(self) -> None:
        self._socket = Socket(
            netlink.GROUP_LINK
            | netlink.GROUP_IPV4_ADDRESS
            | netlink.GROUP_IPV6_ADDRESS
            | netlink.GROUP_IPV4_ROUTE
            | netlink.GROUP_IPV6_ROUTE
        )
        self._socket.set_blocking(False)

    def fileno(self) -> int:
        """For select and its like."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def read(self) -> list[Change]:
        """What was deleted (or, for a link, brought down) since the last call."""
        found: list[Change] = []
        while True:
            try:
                for kind, body in self._socket.notices():
                    found += _changes_of(kind, body)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found.append(Change("lost"))


def changes() -> Changes:
    """Listen for deletions from now on."""
    return Changes()


def _changes_of(kind: int, body: bytes) -> Iterator[Change]:
    if kind in (netlink.DELLINK, netlink.NEWLINK):
        link = netlink.read_link(body)
        # A port that leaves its bridge is told of as a deletion of family bridge; a link put down by hand as news.
        if kind == netlink.DELLINK or not link.flags & netlink.UP:
            yield Change("link", link.index, link.name)
    elif kind == netlink.DELADDR:
        yield Change("address", netlink.read_address(body).index)
    elif kind == netlink.DELROUTE:
        yield Change("route", netlink.read_route(body).index)
