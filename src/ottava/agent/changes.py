# SPDX-License-Identifier: Apache-2.0
"""Which commands of the runtime API lead from the servers that run to those that are wished. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ottava.agent.runtime import Address, ServerState, plain
from ottava.wire.desired import Backend, Server


class Command(msgspec.Struct, frozen=True):
    """One thing to do: the commands for it, and what it is in words."""

    commands: tuple[str, ...]
    backend: str
    sentence: str


class Impossible(Exception):
    """The runtime API cannot do it; a reload can. Says why, in words."""


def commands(
    before: Sequence[Backend], wish: Sequence[Backend], found: Mapping[Address, ServerState], probed: frozenset[Address]
) -> list[Command]:
    """What to say so that `found`, which runs, becomes `wish`. [] when it is so already.

    before  what was in force: tells the arguments of the servers that run
    probed  servers whose health the agent itself decides

    A server that nobody wishes goes into maintenance, so that it finishes what it has; it is deleted later. Raises
    Impossible when only a reload leads there.
    """
    known = {(backend.name, server.name): server for backend in before for server in backend.servers}
    wished = {(backend.name, server.name): server for backend in wish for server in backend.servers}
    keys = {backend.name: backend.cookie_key for backend in wish if backend.cookie_key}
    dynamic = {backend.name: backend.dynamic for backend in wish}
    steps: list[Command] = []
    for address, server in wished.items():
        state = found.get(address)
        old = known.get(address)
        if state is None:
            steps.append(_add(address, server, dynamic[address[0]]))
        elif old is None or (old.arguments, old.checked) != (server.arguments, server.checked):
            steps.append(_add_again(address, server, state, dynamic[address[0]]))
        else:
            steps.extend(_change(address, server, state, dynamic[address[0]], address in probed))
    for address in leaving(wish, found):
        if not dynamic.get(address[0], False):
            raise Impossible(f"servers of {address[0]} cannot be removed at run time")
        if not found[address].maintenance:
            steps.append(_command("removed server", address, f"set server {_path(address)} state maint"))
    steps += _cookies(steps, keys)
    return steps


def leaving(wish: Sequence[Backend], found: Mapping[Address, ServerState]) -> list[Address]:
    """Servers that run although nobody wishes them."""
    wished = {(backend.name, server.name) for backend in wish for server in backend.servers}
    return [address for address in found if address not in wished]


def handed_over(
    wish: Sequence[Backend], found: Mapping[Address, ServerState], probed: frozenset[Address]
) -> Iterator[ServerState]:
    """What the next process should know of the servers' health: that which still means the same server.

    Weight, address and administrative state are the configuration's to say. A server that nothing checks is not
    handed over: nothing would ever bring it up again.
    """
    for backend in wish:
        for server in backend.servers:
            address = (backend.name, server.name)
            state = found.get(address)
            if state is None or state.maintenance or not server.enabled or not _same_place(state, server):
                continue
            if server.checked or address in probed:
                line = list(state.line)
                line[6] = "0"
                line[7] = line[8] = str(server.weight)
                yield msgspec.structs.replace(state, line=tuple(line))


def _add(address: Address, server: Server, dynamic: bool) -> Command:
    if not dynamic:
        raise Impossible(f"servers of {address[0]} cannot be added at run time")
    if not plain(server.arguments):
        raise Impossible(f"the arguments of server {_path(address)} cannot be given at run time")
    place = f"[{server.address}]:{server.port}" if ":" in server.address else f"{server.address}:{server.port}"
    said = [f"add server {_path(address)} {place} weight {server.weight} {server.arguments}".rstrip()]
    if server.enabled:
        said.append(f"set server {_path(address)} state ready")
    if server.checked:
        said.append(f"enable health {_path(address)}")
    return _command("added server", address, *said)


def _add_again(address: Address, server: Server, state: ServerState, dynamic: bool) -> Command:
    """Another server of the same name still runs; it can make room only when it has nothing left to do."""
    if not state.maintenance:
        raise Impossible(f"server {_path(address)} is to be built differently")
    add = _add(address, server, dynamic)
    return _command("replaced server", address, f"del server {_path(address)}", *add.commands)


def _change(address: Address, server: Server, state: ServerState, dynamic: bool, probed: bool) -> Iterator[Command]:
    path = _path(address)
    if not _same_place(state, server):
        # HAProxy can do it, but goes on using connections that it kept open to the old place.
        raise Impossible(f"server {path} is somewhere else")
    if state.weight != server.weight:
        if not dynamic:
            raise Impossible(f"weights of {address[0]} cannot be changed at run time")
        yield _command(f"weight {server.weight} for server", address, f"set server {path} weight {server.weight}")
    if state.maintenance == server.enabled:
        change, word = ("ready", "enabled") if server.enabled else ("maint", "disabled")
        yield _command(f"{word} server", address, f"set server {path} state {change}")
    if server.checked and not state.checking:
        yield _command("health check on for server", address, f"enable health {path}")
    if not (server.checked or probed or state.running or state.maintenance):
        yield _command("no health check any more for server", address, f"set server {path} health up")


def _cookies(steps: Sequence[Command], keys: Mapping[str, str]) -> list[Command]:
    """An added server gets its sticky cookie when the key is said again."""
    added = {step.backend for step in steps if any(each.startswith("add server ") for each in step.commands)}
    if not all(plain(keys[backend]) for backend in added & keys.keys()):
        raise Impossible("a key of the sticky cookies cannot be given at run time")
    return [
        Command((f"set dynamic-cookie-key backend {backend} {keys[backend]}",), backend, f"sticky cookies in {backend}")
        for backend in sorted(added & keys.keys())
    ]


def _same_place(state: ServerState, server: Server) -> bool:
    if state.port != server.port:
        return False
    return state.address == server.address or ipaddress.ip_address(state.address) == ipaddress.ip_address(
        server.address
    )


def _path(address: Address) -> str:
    return f"{address[0]}/{address[1]}"


def _command(what: str, address: Address, *said: str) -> Command:
    return Command(said, address[0], f"{what} {address[1]} in {address[0]}")
