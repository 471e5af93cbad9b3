# SPDX-License-Identifier: Apache-2.0
"""AmphoraIR: what the proxies of an amphora should do, typed, before any text is born.

A plain `str` in it is a word of ours (a keyword, an id, a canonical address). Whatever a user wrote
stands in the kind of argument that it will become; only arguments.py turns a kind into text.
"""

import msgspec

from ottava.wire.desired import Bridge, Probe, Server


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved attachment of an amphora to a network.

    mac        fixed for the port, "02:..."
    addresses  with prefix length ("198.18.0.5/24"); the VIP is among those of its network's port
    gateways   default routes, at most one for each address family
    mtu        bytes
    """

    network_id: str
    port_id: str
    mac: str
    addresses: tuple[str, ...]
    bridge: Bridge
    gateways: tuple[str, ...] = ()
    mtu: int = 1500


class Word(msgspec.Struct, frozen=True):
    """Text that is one word of a line, byte for byte."""

    text: str


class LogFormat(msgspec.Struct, frozen=True):
    """Literal text where HAProxy would expand a log-format."""

    text: str


class AclString(msgspec.Struct, frozen=True):
    """A pattern that is compared as it stands."""

    text: str


class Regex(msgspec.Struct, frozen=True):
    """A pattern in PCRE's language, given to it unchanged."""

    text: str


class Sample(msgspec.Struct, frozen=True):
    """Something fetched from a request: `fetch(argument)` through `converters`."""

    fetch: str
    argument: str | None = None
    converters: tuple[str, ...] = ()


class RunPath(msgspec.Struct, frozen=True):
    """A path below the amphora's directory on its host."""

    name: str


Argument = Word | LogFormat | AclString | Regex | Sample | RunPath


class Matcher(msgspec.Struct, frozen=True):
    """One comparison. method: HAProxy's "str", "beg", "end", "sub" or "reg"."""

    sample: Sample
    method: str
    pattern: AclString | Regex
    ignore_case: bool = False


class Test(msgspec.Struct, frozen=True):
    """An L7 rule: true if any of `matchers` is, or if none is when inverted."""

    rule_id: str
    matchers: tuple[Matcher, ...]
    invert: bool = False


class Deny(msgspec.Struct, frozen=True):
    """Answer with a status code."""

    code: int


class Redirect(msgspec.Struct, frozen=True):
    """Send the client elsewhere. how: "location" (the whole URL) or "prefix" (the path is kept)."""

    how: str
    target: LogFormat
    code: int


class UseBackend(msgspec.Struct, frozen=True):
    """Let a backend do the work."""

    backend: str


class Policy(msgspec.Struct, frozen=True):
    """An L7 policy: the action, if all tests are true. The first policy that matches decides."""

    policy_id: str
    tests: tuple[Test, ...]
    action: Deny | Redirect | UseBackend


class Frontend(msgspec.Struct, frozen=True, kw_only=True):
    """A listener. Times in milliseconds; mode is "tcp" or "http".

    allowed  networks that may connect, None for everybody
    """

    listener_id: str
    mode: str
    binds: tuple[tuple[str, int], ...]
    maxconn: int
    timeout_client: int
    inspect_delay: int = 0
    allowed: tuple[str, ...] | None = None
    policies: tuple[Policy, ...] = ()
    default_backend: str | None = None


class SourcePersistence(msgspec.Struct, frozen=True):
    """The client's address decides."""


class CookiePersistence(msgspec.Struct, frozen=True):
    """A cookie that HAProxy sets decides. key: from which the cookies of the servers are made."""

    key: str


class AppCookiePersistence(msgspec.Struct, frozen=True):
    """A cookie that the members set decides."""

    request: Sample
    response: Sample


Persistence = SourcePersistence | CookiePersistence | AppCookiePersistence


class HttpCheck(msgspec.Struct, frozen=True):
    """One request, and the status codes it should bring ("200", "200,204" or "200-299")."""

    method: str
    path: Word
    version: str
    host: LogFormat | None
    expect: str


class Check(msgspec.Struct, frozen=True):
    """How servers are checked, by connecting or by `http`. timeout: seconds."""

    monitor_id: str
    timeout: int
    http: HttpCheck | None = None


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as one listener uses it. Times in milliseconds.

    headers  set in each request: name and literal value; forwarded_for appends the client's address
    """

    name: str
    pool_id: str
    mode: str
    balance: str
    timeout_connect: int
    timeout_server: int
    forwarded_for: bool = False
    headers: tuple[tuple[str, LogFormat], ...] = ()
    persistence: Persistence | None = None
    check: Check | None = None
    servers: tuple[Server, ...] = ()


class AmphoraIR(msgspec.Struct, frozen=True, kw_only=True):
    """All that one amphora does.

    maxconn, maxpipes, threads  of the whole process
    """

    loadbalancer_id: str
    maxconn: int
    maxpipes: int
    threads: int
    frontends: tuple[Frontend, ...] = ()
    backends: tuple[Backend, ...] = ()
    probes: tuple[Probe, ...] = ()
