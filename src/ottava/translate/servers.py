# SPDX-License-Identifier: Apache-2.0
"""Members as the servers of a backend, in the words that a server line and `add server` share."""

import hashlib
from collections.abc import Iterable

from ottava.model import scalars
from ottava.model.health_monitor import HealthMonitor
from ottava.model.member import Member
from ottava.wire.desired import Server

LARGEST_NUMBER = 2**31 - 1


def servers(members: Iterable[Member], monitor: HealthMonitor | None) -> tuple[Server, ...]:
    """One server for each member, in their order."""
    found = []
    numbers: set[int] = set()
    for member in members:
        number = _number(member.id, numbers)
        numbers.add(number)
        found.append(_server(member, number, monitor))
    return tuple(found)


def _number(member_id: str, taken: set[int]) -> int:
    """HAProxy's own id of a server. The consistent hash places a server by it, so it must be the same
    whether the server came with the file or at run time, and whoever else is in the pool."""
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{member_id}{attempt or ''}".encode()).digest()
        number = int.from_bytes(digest[:4], "big") % LARGEST_NUMBER + 1
        if number not in taken:
            return number
        attempt += 1


def _host(text: str) -> str:
    """An address where HAProxy would also take a port."""
    address = scalars.address(text)
    return f"[{address}]" if address.version == 6 else str(address)


def _server(member: Member, number: int, monitor: HealthMonitor | None) -> Server:
    checked = monitor is not None and monitor.type != "PING"
    arguments = [f"id {number}"]
    if monitor is not None:
        arguments.append(f"rise {monitor.max_retries} fall {monitor.max_retries_down}")
    if monitor is not None and checked:
        arguments.append(f"check inter {max(1, monitor.delay)}s")
        if member.monitor_address is not None:
            arguments.append(f"addr {_host(member.monitor_address)}")
        if member.monitor_port is not None:
            arguments.append(f"port {member.monitor_port}")
    if member.backup:
        arguments.append("backup")
    return Server(
        name=member.id,
        address=str(scalars.address(member.address)),
        port=member.protocol_port,
        weight=member.weight,
        enabled=member.admin_state_up,
        arguments=" ".join(arguments),
        checked=checked,
    )
