# SPDX-License-Identifier: Apache-2.0
"""Desired: how one amphora should look. Pure data, rendered by ottava.translate."""

import hashlib

import msgspec

from ottava.wire import VERSION


class Bridge(msgspec.Struct, frozen=True):
    """A Linux bridge of the host that an interface hangs on.

    name       at most 15 characters
    addresses  of the host itself on this bridge, with prefix length ("198.18.0.1/24")
    mtu        bytes
    """

    name: str
    addresses: tuple[str, ...] = ()
    mtu: int = 1500


class Interface(msgspec.Struct, frozen=True):
    """A network interface inside the amphora, a veth pair to a bridge.

    name       inside the amphora ("net0")
    mac        "02:..." , fixed, so that neighbours need not learn again
    addresses  with prefix length; the VIP is among them
    gateways   default routes, at most one for each address family
    """

    name: str
    mac: str
    bridge: Bridge
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    mtu: int = 1500


class Server(msgspec.Struct, frozen=True):
    """One server line of a backend, in the parts that HAProxy's runtime API knows.

    name       the member's id
    address    an IP address, without brackets
    weight     0 to 256
    enabled    false: in maintenance from the start
    arguments  what else stands on the server's line, and in `add server`, rendered words
    checked    the server has a health check (a server added at run time needs it switched on)
    """

    name: str
    address: str
    port: int
    weight: int = 1
    enabled: bool = True
    arguments: str = ""
    checked: bool = False


class Backend(msgspec.Struct, frozen=True):
    """The servers of one backend.

    name        as in the configuration
    dynamic     servers may be added and removed at run time (the algorithm allows it)
    cookie_key  what `set dynamic-cookie-key` must be given again after `add server`, so that the added
                server has its cookie; "" if the backend sets none
    """

    name: str
    servers: tuple[Server, ...] = ()
    dynamic: bool = True
    cookie_key: str = ""


class Proxy(msgspec.Struct, frozen=True):
    """The HAProxy of one amphora.

    text      the whole configuration as it lies on disk, except for what only the host knows:
              `@RUN@` stands for the amphora's directory there
    frame     digest of `text` without its server lines: while it stays the same, every change
              is in `backends` and can be made at run time
    owners    (first line number, id of the object) ascending: whose lines they are, to blame the
              object when HAProxy refuses a line. Lines count from 1
    """

    text: str
    frame: str
    backends: tuple[Backend, ...] = ()
    owners: tuple[tuple[int, str], ...] = ()


class Probe(msgspec.Struct, frozen=True):
    """A health check that the agent makes itself, because the proxy cannot (PING).

    Times in seconds; `rise` and `fall` in checks.
    """

    backend: str
    server: str
    kind: str
    address: str
    delay: int
    timeout: int
    rise: int
    fall: int


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """How one amphora should look.

    epoch       fencing number of the lease under which this was made; a lower one than the agent has
                stored is refused, as is the same epoch with a lower generation
    generation  of the load balancer
    digest      of everything but epoch and generation: equal digests, nothing to do
    """

    version: int = VERSION
    amphora_id: str
    loadbalancer_id: str
    epoch: int
    generation: int
    digest: str = ""
    interfaces: tuple[Interface, ...] = ()
    proxy: Proxy | None = None
    probes: tuple[Probe, ...] = ()


def digest(desired: Desired) -> str:
    """The SHA-256, in hex, of what `desired` says about the amphora itself."""
    bare = msgspec.structs.replace(desired, epoch=0, generation=0, digest="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()
