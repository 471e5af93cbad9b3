# SPDX-License-Identifier: Apache-2.0
"""AmphoraIR to HAProxy's configuration: the one place where its text is born.

A line is words. A plain `str` is a keyword of ours; everything else is an Argument, which arguments.py
makes one word. Each line belongs to an object, to be blamed when HAProxy refuses the line.
"""

import hashlib
from collections.abc import Iterable, Sequence

from ottava.translate import ir
from ottava.translate.arguments import name, render
from ottava.wire.desired import Backend, Proxy, Server

WORDS_PER_LINE = 48
"""HAProxy takes 64."""

PEERS = "tables"
PEER = "self"
STICKY = (ir.SourcePersistence, ir.AppCookiePersistence)
HARD_STOP = "30m"
"""How long an old process may serve its last connections after a reload."""


class _Page:
    """Lines under way, each with its owner; servers' lines do not count for the frame."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lines: list[str] = []
        self.owners: list[tuple[int, str]] = []
        self.frame: list[str] = []

    def section(self, *parts: str) -> None:
        """Begin a section."""
        self._put(" ".join(parts), framed=True)

    def line(self, *parts: str | ir.Argument) -> None:
        """A line of the section."""
        words = (part if isinstance(part, str) else render(part) for part in parts)
        self._put("    " + " ".join(words), framed=True)

    def server(self, text: str) -> None:
        """A server's line."""
        self._put("    " + text, framed=False)

    def _put(self, text: str, framed: bool) -> None:
        self.lines.append(text)
        if framed:
            self.frame.append(text)
        if not self.owners or self.owners[-1][1] != self.owner:
            self.owners.append((len(self.lines), self.owner))


def render_proxy(amphora: ir.AmphoraIR) -> Proxy:
    """The HAProxy of `amphora`. Raises ValueError, naming the object, for a value that no line can hold."""
    page = _Page(amphora.loadbalancer_id)
    try:
        _process(page, amphora)
        for frontend in amphora.frontends:
            _frontend(page, frontend)
        for backend in amphora.backends:
            _backend(page, backend)
    except ValueError as error:
        raise ValueError(f"object {page.owner} cannot be rendered: {error}") from error
    return Proxy(
        text="\n".join(page.lines) + "\n",
        frame=hashlib.sha256("\n".join(page.frame).encode()).hexdigest(),
        backends=tuple(_wire(backend) for backend in amphora.backends),
        owners=tuple(page.owners),
    )


def _process(page: _Page, amphora: ir.AmphoraIR) -> None:
    page.section("global")
    page.line("maxconn", str(amphora.maxconn))
    page.line("maxpipes", str(amphora.maxpipes))
    page.line("nbthread", str(amphora.threads))
    # More members with checks than expected must not keep it from starting.
    page.line("no strict-limits")
    page.line("stats socket", ir.RunPath("haproxy.sock"), "mode 600 level admin expose-fd listeners")
    page.line("user haproxy")
    page.line("group haproxy")
    page.line("chroot", ir.RunPath("chroot"))
    # Below the chroot: the agent listens there for servers going up and down.
    page.line("log /log format raw local0 notice")
    page.line("server-state-file", ir.RunPath("server-state"))
    page.line("hard-stop-after", HARD_STOP)
    page.line("localpeer", PEER)
    # Saves loading the system's certificates at each start.
    page.line("httpclient.ssl.verify none")
    page.section("defaults")
    page.line("option redispatch")
    page.line("option splice-auto")
    page.line("retries 3")
    page.line("load-server-state-from-file global")
    if any(isinstance(each.persistence, STICKY) for each in amphora.backends):
        page.section("peers", PEERS)
        page.line("peer", PEER, f"abns@ottava-{name(amphora.loadbalancer_id)}")


def _frontend(page: _Page, frontend: ir.Frontend) -> None:
    page.owner = frontend.listener_id
    page.section("frontend", name(frontend.listener_id))
    page.line("mode", frontend.mode)
    if frontend.mode == "http":
        # Without it, a reload loses requests on connections kept alive.
        page.line("option idle-close-on-response")
    for address, port in frontend.binds:
        page.line("bind", _socket(address, port))
    page.line("maxconn", str(frontend.maxconn))
    page.line("timeout client", f"{frontend.timeout_client}ms")
    if frontend.allowed is not None:
        for networks in _chunks(frontend.allowed):
            page.line("acl allowed src --", *networks)
        page.line("tcp-request connection reject unless allowed")
    if frontend.inspect_delay:
        page.line("tcp-request inspect-delay", f"{frontend.inspect_delay}ms")
    for policy in frontend.policies:
        _policy(page, policy)
    page.owner = frontend.listener_id
    if any(isinstance(policy.action, ir.UseBackend) for policy in frontend.policies):
        page.line("use_backend %[var(txn.backend)] if { var(txn.backend) -m found }")
    if frontend.default_backend is not None:
        page.line("default_backend", name(frontend.default_backend))


def _policy(page: _Page, policy: ir.Policy) -> None:
    """Rules of one kind (`http-request`) keep their order, so that the first policy that matches decides,
    whatever it does; `allow` ends the list for a request whose backend is chosen."""
    for test in policy.tests:
        page.owner = test.rule_id
        for matcher in test.matchers:
            flags = ("-i",) if matcher.ignore_case else ()
            page.line("acl", name(test.rule_id), matcher.sample, *flags, "-m", matcher.method, "--", matcher.pattern)
    page.owner = policy.policy_id
    condition = ["if", *(("!" if test.invert else "") + name(test.rule_id) for test in policy.tests)]
    match policy.action:
        case ir.Deny(code):
            page.line("http-request deny deny_status", str(code), *condition)
        case ir.Redirect(how, target, code):
            page.line("http-request redirect", how, target, "code", str(code), *condition)
        case ir.UseBackend(backend):
            page.line("http-request set-var(txn.backend)", ir.Sample("str", backend), *condition)
            page.line("http-request allow if { var(txn.backend) -m found }")


def _backend(page: _Page, backend: ir.Backend) -> None:
    page.owner = backend.pool_id
    page.section("backend", name(backend.name))
    page.line("mode", backend.mode)
    page.line("log global")
    page.line("balance", backend.balance)
    if backend.balance == "source":
        # The other kind of hash would not let servers come and go at run time.
        page.line("hash-type consistent")
    page.line("option allbackups")
    page.line("timeout connect", f"{backend.timeout_connect}ms")
    page.line("timeout server", f"{backend.timeout_server}ms")
    if backend.forwarded_for:
        page.line("option forwardfor")
    for header, value in backend.headers:
        page.line("http-request set-header", header, value)
    _persistence(page, backend.persistence)
    if backend.check is not None:
        _check(page, backend.check)
    for server in backend.servers:
        page.owner = server.name
        page.server(_server(server))


def _persistence(page: _Page, persistence: ir.Persistence | None) -> None:
    match persistence:
        case ir.SourcePersistence():
            page.line("stick-table type ipv6 size 10k peers", PEERS)
            page.line("stick on src")
        case ir.CookiePersistence(key):
            page.line("cookie SRV insert indirect nocache dynamic")
            page.line("dynamic-cookie-key", key)
        case ir.AppCookiePersistence(request, response):
            page.line("stick-table type string len 64 size 10k peers", PEERS)
            page.line("stick store-response", response)
            page.line("stick match", request)


def _check(page: _Page, check: ir.Check) -> None:
    page.owner = check.monitor_id
    page.line("timeout check", f"{check.timeout}s")
    if check.http is None:
        return
    page.line("option httpchk")
    host = ("hdr Host", check.http.host) if check.http.host is not None else ()
    version = f"HTTP/{check.http.version}"
    page.line("http-check send meth", check.http.method, "uri", check.http.path, "ver", version, *host)
    page.line("http-check expect status", check.http.expect)


def _server(server: Server) -> str:
    words = ["server", name(server.name), _socket(server.address, server.port), f"weight {server.weight}"]
    words += [server.arguments] if server.arguments else []
    words += [] if server.enabled else ["disabled"]
    return " ".join(words)


def _wire(backend: ir.Backend) -> Backend:
    cookie = backend.persistence
    key = cookie.key if isinstance(cookie, ir.CookiePersistence) else ""
    return Backend(name=backend.name, servers=backend.servers, cookie_key=key)


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _chunks(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[start : start + WORDS_PER_LINE] for start in range(0, len(items), WORDS_PER_LINE))
