# SPDX-License-Identifier: Apache-2.0
"""What is rendered, judged by a real HAProxy that serves: user-supplied text stays data, and each promise of
the API shows in the traffic."""

import http.server
import itertools
import json
import os
import random
import re
import resource
import signal
import socket
import string
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest

from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool, SessionPersistence
from ottava.translate.desired import desired
from ottava.wire.heartbeat import Facts

VIP = "127.0.0.77"
FACTS = Facts(haproxy=(2, 6, 12), nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[1], cpus=2)


class Tree:
    """A graph that is easily grown."""

    def __init__(self, vip=VIP):
        self.ticks = itertools.count()
        self.graph = LoadBalancerGraph(
            load_balancer=LoadBalancer(**self._common(), name="x\nglobal # '\"", vip_address=vip), generation=1
        )
        self.lb = self.graph.load_balancer

    def _common(self):
        return {"id": str(uuid.uuid4()), "project_id": "p", "created_at": f"2026-01-01T00:00:00.{next(self.ticks):06}"}

    def _add(self, cls, **values):
        thing = cls(**self._common(), loadbalancer_id=self.lb.id, **values)
        getattr(self.graph, cls.kind.plural)[thing.id] = thing
        return thing

    def listener(self, pool=None, protocol="HTTP", **values):
        values.setdefault("protocol_port", free_port())
        return self._add(Listener, protocol=protocol, default_pool_id=pool and pool.id, **values)

    def pool(self, algorithm="ROUND_ROBIN", protocol="HTTP", **values):
        return self._add(Pool, protocol=protocol, lb_algorithm=algorithm, **values)

    def member(self, pool, port, address="127.0.0.1", **values):
        return self._add(Member, pool_id=pool.id, address=address, protocol_port=port, **values)

    def monitor(self, pool, type, **values):
        values = {"delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1, **values}
        return self._add(HealthMonitor, pool_id=pool.id, type=type, **values)

    def policy(self, listener, action, rules=(), **values):
        values.setdefault("position", 1 + len(self.graph.policies_of(listener.id)))
        policy = self._add(L7Policy, listener_id=listener.id, action=action, **values)
        for rule in rules:
            self._add(L7Rule, l7policy_id=policy.id, **rule)
        return policy


def path_is(path):
    return {"type": "PATH", "compare_type": "EQUAL_TO", "value": path}


def free_port():
    while True:
        with socket.socket() as probe:
            probe.bind((VIP, 0))
            if (port := probe.getsockname()[1]) > 20000:
                return port


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came to be")


class Amphora:
    """A directory and a HAProxy daemon, as an agent would run them."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.pids = []
        (directory / "chroot").mkdir()
        (directory / "server-state").write_text("1\n")
        directory.chmod(0o755)
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind(str(directory / "chroot" / "log"))
        (directory / "chroot" / "log").chmod(0o666)
        self.log.settimeout(5)

    def apply(self, tree, **limits):
        wish = desired(tree.graph, "a", FACTS, (), 1)
        (self.directory / "haproxy.cfg").write_text(wish.proxy.text.replace("@RUN@", str(self.directory)))
        command = ["haproxy", "-D", "-f", str(self.directory / "haproxy.cfg"), "-p", str(self.directory / "pid")]
        if self.pids:
            (self.directory / "server-state").write_text(self.cli("show servers state") + "\n")
            command += ["-x", str(self.directory / "haproxy.sock"), "-sf", str(self.pids[-1])]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, **limits)
        assert ran.returncode == 0, ran.stderr
        self.pids.append(int((self.directory / "pid").read_text().split()[0]))
        return wish

    def cli(self, command):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / "haproxy.sock"))
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile().read().strip()

    def status(self, backend, server):
        rows = [line.split(",") for line in self.cli("show stat").splitlines()]
        return next(row[17] for row in rows if row[:2] == [backend, server])

    def stop(self):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.log.close()


@pytest.fixture
def amphora(tmp_path):
    made = Amphora(tmp_path)
    yield made
    made.stop()


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A health check hangs up as it likes."""


class Server:
    """A web server that says who it is and what it was asked."""

    def __init__(self, name, code=200, cookie=None):
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append((self.command, self.path, self.request_version, dict(self.headers)))
                body = json.dumps({"name": name, "headers": self.headers.items()}).encode()
                self.send_response(code)
                if cookie:
                    self.send_header("Set-Cookie", f"{cookie}={name}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_OPTIONS = do_GET

            def log_message(self, *_):
                """Say nothing."""

        self.http = QuietServer(("0.0.0.0", 0), Handler)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve():
    made = []

    def start(*arguments, **keywords):
        made.append(Server(*arguments, **keywords))
        return made[-1]

    yield start
    for server in made:
        server.stop()


class Answer:
    def __init__(self, raw: bytes):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.code = int(lines[0].split()[1]) if len(lines[0].split()) > 1 else 0
        self.headers = {key.lower(): value for key, _, value in (line.partition(b": ") for line in lines[1:])}

    @property
    def name(self):
        return json.loads(self.body)["name"]


def ask(listener, path=b"/", headers=(), source="127.0.0.1", host=b"h"):
    """One request, byte for byte."""
    head = b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    for key, value in headers:
        head += key + b": " + value + b"\r\n"
    with socket.create_connection((VIP, listener.protocol_port), timeout=10, source_address=(source, 0)) as client:
        client.sendall(head + b"Connection: close\r\n\r\n")
        return Answer(client.makefile("rb").read())


PRINTABLE = "".join(chr(code) for code in range(33, 127))
NASTY = [
    "#", "'", '"', "\\", "%", "a#b", "a'b", 'a"b', "a\\b", "%[src]", "%%", "%ci", "$HOME", '"$HOME"', "${HOME}", "{", "}",
    "-f", "--", "-m", "if", "or", "||", "!a", "a,b", "(", ")", "a)", "),x", "@RUN@", "x@RUN@/y@RUN@", "'@RUN@'", "\\x41",
    "\\n", "\\'", "'\\''", "*", "^a$", "[a]", "a;b", "\\", "\\\\", PRINTABLE, "~`!@#$%^&*()_+", "http://x/%0d%0a", "%0A",
]  # fmt: skip
CHANCE = random.Random(7)
NASTY += ["".join(CHANCE.choices(PRINTABLE, k=CHANCE.randint(1, 40))) for _ in range(60)]


def hit(tree, listener, number, rule, **policy):
    """A policy that shows by its redirect that its rule matched."""
    return tree.policy(listener, "REDIRECT_TO_URL", [rule], redirect_url=f"http://hit/{number}", **policy)


def test_redirects_are_byte_equal(amphora):
    tree = Tree()
    listener = tree.listener()
    url_safe = [re.sub(r"[^\x21-\x7e]", "", text) for text in NASTY]
    urls = [f"http://host/{text}"[:255] for text in url_safe] + ["https://@RUN@/", "http://h/?a=%41&b='#c"]
    for number, url in enumerate(urls):
        tree.policy(listener, "REDIRECT_TO_URL", [path_is(f"/{number}")], redirect_url=url, redirect_http_code=308)
        tree.policy(listener, "REDIRECT_PREFIX", [path_is(f"/{number}/p")], redirect_prefix=url)
    amphora.apply(tree)
    for number, url in enumerate(urls):
        answer = ask(listener, b"/%d" % number)
        assert (answer.code, answer.headers[b"location"]) == (308, url.encode())
        answer = ask(listener, b"/%d/p?q=%%5b1" % number)
        assert (answer.code, answer.headers[b"location"]) == (302, url.encode() + b"/%d/p?q=%%5b1" % number)


def variants(value):
    """Values that are not `value`, but near it."""
    yield value + "x"
    yield "x" + value
    yield value.replace("\\", "") + ("" if "\\" in value else "y")
    if value.swapcase() != value:
        yield value.swapcase()
    if len(value) > 1:
        yield value[:-1]


@pytest.mark.parametrize(("kind", "key"), [("HEADER", "X-Some"), ("COOKIE", "some")])
def test_a_rule_matches_its_value_and_nothing_else(amphora, kind, key):
    tree = Tree()
    listener = tree.listener()
    bad = set('";\\ ') if kind == "COOKIE" else set()
    values = [text for text in dict.fromkeys(NASTY) if not bad & set(text)]
    values = [text for text in values if not (len(text) > 1 and text[0] == text[-1] == '"')]
    for number, value in enumerate(values):
        hit(tree, listener, number, {"type": kind, "compare_type": "EQUAL_TO", "key": f"{key}{number}", "value": value})
    amphora.apply(tree)

    def matches(number, value):
        name = f"{key}{number}".encode()
        header = (name, value.encode()) if kind == "HEADER" else (b"Cookie", b"a=b; " + name + b"=" + value.encode())
        answer = ask(listener, headers=[header])
        assert answer.code == 503 or answer.headers[b"location"] == b"http://hit/%d" % number
        return answer.code == 302

    for number, value in enumerate(values):
        assert matches(number, value), value
        for other in variants(value):
            assert not matches(number, other), (value, other)


def test_a_value_in_double_quotes_may_hold_blanks(amphora):
    tree = Tree()
    listener = tree.listener()
    for number, value in enumerate(['"a b"', '"a\tb, # c"', '""a""', '""']):
        hit(tree, listener, number, {"type": "HEADER", "compare_type": "EQUAL_TO", "key": f"x{number}", "value": value})
    amphora.apply(tree)
    for number, sent in enumerate([b"a b", b"a\tb, # c", b'"a"', b""]):
        assert ask(listener, headers=[(b"x%d" % number, sent)]).code == 302
        assert ask(listener, headers=[(b"x%d" % number, sent + b"-")]).code == 503


@pytest.mark.parametrize("kind", ["HEADER", "COOKIE"])
def test_names_of_headers_and_cookies_stay_names(amphora, kind):
    tree = Tree()
    listener = tree.listener()
    token = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
    names = [f"x{char}y" for char in token] + list("!#$%&'*+.^_`|~") + [token]
    for number, name in enumerate(names):
        hit(tree, listener, number, {"type": kind, "compare_type": "EQUAL_TO", "key": name, "value": f"v{number}"})
    amphora.apply(tree)
    for number, name in enumerate(names):
        value = b"v%d" % number
        good = (name.encode(), value) if kind == "HEADER" else (b"Cookie", name.encode() + b"=" + value)
        assert ask(listener, headers=[good]).headers.get(b"location") == b"http://hit/%d" % number, name
        bad = (b"Z" + good[0], value) if kind == "HEADER" else (b"Cookie", b"Z" + good[1])
        assert ask(listener, headers=[bad]).code == 503


def test_regexes_reach_the_engine_unchanged(amphora):
    tree = Tree()
    listener = tree.listener()
    cases = [(re.escape(text), text, text + "x") for text in NASTY if not text.startswith('"')]
    cases = [(f"^{pattern}$", good, bad) for pattern, good, bad in cases if len(pattern) < 250]
    cases += [
        (r"^a{2,3}$", "aa", "aaaa"), (r"^\d+\.\d$", "10.1", "10x1"), (r"^(a|b)#'[^']$", "b#'x", "b#''"),
        (r"^%[0-9a-f]{2}$", "%0a", "%%0a"), (r"^a\\b$", "a\\b", "a\\\\b"), (r"^\x41$", "A", "\\x41"), (r"^$", "", "x"),
    ]  # fmt: skip
    for number, (pattern, _, _) in enumerate(cases):
        hit(tree, listener, number, {"type": "HEADER", "compare_type": "REGEX", "key": f"x{number}", "value": pattern})
    amphora.apply(tree)
    for number, (pattern, good, bad) in enumerate(cases):
        assert ask(listener, headers=[(b"x%d" % number, good.encode())]).code == 302, pattern
        assert ask(listener, headers=[(b"x%d" % number, bad.encode())]).code == 503, pattern


def test_every_comparison_of_hosts_paths_and_file_types(amphora):
    tree = Tree()
    listener = tree.listener()
    cases = [
        ("HOST_NAME", "EQUAL_TO", "Example.com", "host", [b"example.com", b"EXAMPLE.com:8080"], [b"xexample.com"]),
        ("HOST_NAME", "ENDS_WITH", ".end", "host", [b"a.END", b"a.end:81"], [b"end", b"a.end.x"]),
        ("HOST_NAME", "STARTS_WITH", "start.", "host", [b"START.x"], [b"a.start.x"]),
        ("HOST_NAME", "CONTAINS", "-mid-", "host", [b"a-MID-b"], [b"a-mi"]),
        ("HOST_NAME", "REGEX", "^r[0-9]+$", "host", [b"R12", b"r1:80"], [b"rx"]),
        ("PATH", "EQUAL_TO", "/Eq", "path", [b"/Eq", b"/Eq?x"], [b"/eq", b"/Eq/"]),
        ("PATH", "STARTS_WITH", "/st", "path", [b"/sta", b"/st"], [b"/x/st"]),
        ("PATH", "ENDS_WITH", "'en", "path", [b"/a'en"], [b"/a'en/"]),
        ("PATH", "CONTAINS", "%2fm%2f", "path", [b"/a%2fm%2f/"], [b"/a/m/"]),
        ("PATH", "REGEX", "^/r.x$", "path", [b"/rax"], [b"/raxa"]),
        ("FILE_TYPE", "EQUAL_TO", "jpg", "path", [b"/a.jpg", b"/a.jpg?b.c"], [b"/a.jpgx", b"/a.JPG"]),
        ("FILE_TYPE", "REGEX", "p(n|t)g$", "path", [b"/a.png", b"/a.ptg"], [b"/a.pxg"]),
    ]
    for number, (kind, compare, value, *_) in enumerate(cases):
        hit(tree, listener, number, {"type": kind, "compare_type": compare, "value": value})
    amphora.apply(tree)
    for number, (_, _, value, where, good, bad) in enumerate(cases):
        for text in good:
            answer = ask(listener, host=text) if where == "host" else ask(listener, text)
            assert answer.headers[b"location"] == b"http://hit/%d" % number, (value, text)
        for text in bad:
            answer = ask(listener, host=text) if where == "host" else ask(listener, text)
            assert answer.code == 503, (value, text)


def test_policies_are_tried_in_the_order_of_their_positions(amphora, serve):
    tree = Tree()
    one, two = tree.pool(), tree.pool()
    tree.member(one, serve("one").port)
    tree.member(two, serve("two").port)
    listener = tree.listener(one, insert_headers={"X-Forwarded-Port": "true"})
    a, b, c, d = ({"type": "PATH", "compare_type": "CONTAINS", "value": value} for value in "abcd")
    tree.policy(listener, "REDIRECT_TO_POOL", [a], redirect_pool_id=two.id)
    tree.policy(listener, "REJECT", [b])
    tree.policy(listener, "REDIRECT_TO_URL", [c], redirect_url="http://c/")
    tree.policy(listener, "REDIRECT_TO_POOL", [d], redirect_pool_id=one.id)
    tree.policy(listener, "REJECT", [d])
    tree.policy(listener, "REJECT", [])
    tree.policy(listener, "REJECT", [path_is("/off")], admin_state_up=False)
    tree.policy(listener, "REJECT", [{**path_is("/off"), "admin_state_up": False}])
    tree.policy(listener, "REJECT", [path_is("/going")], provisioning_status="PENDING_DELETE")
    tree.policy(listener, "REJECT", [{**path_is("/x"), "invert": True}, path_is("/y")])
    amphora.apply(tree)

    def outcome(path):
        answer = ask(listener, path)
        return answer.name if answer.code == 200 else answer.code

    assert [outcome(path) for path in (b"/abcd", b"/bcd", b"/cd", b"/d", b"/off", b"/going", b"/x", b"/y")] == [
        "two", 403, 302, "one", "one", "one", "one", 403,
    ]  # fmt: skip
    headers = dict(json.loads(ask(listener, b"/a").body)["headers"])
    assert headers["x-forwarded-port"] == str(listener.protocol_port)


def test_fifty_long_rules_in_one_policy(amphora):
    tree = Tree()
    listener = tree.listener()
    values = [f"{number:02}" + "'" * 253 for number in range(50)]
    keys = [f"k{number:02}" + "'" * 150 for number in range(50)]
    rules = [{"type": "HEADER", "compare_type": "EQUAL_TO", "key": k, "value": v, "invert": False}
             for k, v in zip(keys, values, strict=True)]  # fmt: skip
    rules[-1]["invert"] = True
    tree.policy(listener, "REDIRECT_TO_URL", rules, redirect_url="http://h/" + "%" * 245)
    amphora.apply(tree)
    short = [(key.encode(), value.encode()) for key, value in zip(keys, values, strict=True)]
    # More than HAProxy takes of headers in one request: it is enough that it starts and answers.
    assert ask(listener, headers=short[:10]).code == 503


def test_headers_are_added_as_promised(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    tree.member(pool, serve("one").port)
    on = tree.listener(
        pool, insert_headers={"X-Forwarded-For": "true", "X-Forwarded-Port": "TRUE", "X-Forwarded-Proto": "True"}
    )
    off = tree.listener(pool, insert_headers={"X-Forwarded-For": "false", "X-Forwarded-Port": "%[src]\n"})
    amphora.apply(tree)
    sent = [(b"X-Forwarded-For", b"192.0.2.1"), (b"X-Forwarded-Port", b"1"), (b"X-Forwarded-Proto", b"https")]
    seen = json.loads(ask(on, headers=sent).body)["headers"]
    found = sorted((key.lower(), value) for key, value in seen if key.lower().startswith("x-forwarded"))
    assert found == [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-port", str(on.protocol_port)),
        ("x-forwarded-proto", "http"),
    ]
    seen = json.loads(ask(off, headers=sent).body)["headers"]
    assert sorted(value for key, value in seen if key.lower().startswith("x-forwarded")) == ["1", "192.0.2.1", "https"]


def test_only_allowed_networks_may_connect(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    tree.member(pool, serve("one").port)
    many = [f"198.18.{number // 250}.{number % 250}/32" for number in range(1000)] + ["2001:db8::/32", "127.0.0.5/32"]
    listener = tree.listener(pool, allowed_cidrs=tuple(many))
    tcp = tree.listener(tree.pool(protocol="TCP"), protocol="TCP", allowed_cidrs=("2001:db8::/32",))
    amphora.apply(tree)
    assert ask(listener, source="127.0.0.5").code == 200
    for refused, source in ((listener, "127.0.0.6"), (tcp, "127.0.0.5")):
        with pytest.raises(ConnectionError):
            raise ConnectionError if ask(refused, source=source).code == 0 else AssertionError


def test_nobody_to_serve(amphora, serve):
    tree = Tree()
    dead = tree.pool(admin_state_up=False)
    empty = tree.pool()
    going = tree.pool(provisioning_status="PENDING_DELETE")
    for pool in (dead, going):
        tree.member(pool, serve("never").port)
    tree.member(empty, serve("never").port, admin_state_up=False)
    tree.member(empty, serve("never").port, provisioning_status="PENDING_DELETE")
    listeners = [tree.listener(pool) for pool in (dead, empty, going, None)]
    tree.policy(listeners[3], "REDIRECT_TO_POOL", [path_is("/dead")], redirect_pool_id=dead.id)
    off = tree.listener(admin_state_up=False)
    amphora.apply(tree)
    assert [ask(listener).code for listener in listeners] == [503] * 4
    assert ask(listeners[3], b"/dead").code == 503
    with pytest.raises(ConnectionRefusedError):
        ask(off)
    tree.lb.admin_state_up = False
    amphora.apply(tree)
    until(lambda: refused(listeners[0]))


def refused(listener):
    try:
        ask(listener)
    except ConnectionError:
        return True
    return False


def test_tcp_listeners_carry_tcp_and_http_pools(amphora, serve):
    tree = Tree()
    cookie = SessionPersistence(type="HTTP_COOKIE")
    tcp, http_pool = (tree.pool(protocol=protocol, session_persistence=cookie) for protocol in ("TCP", "HTTP"))
    for pool in (tcp, http_pool):
        tree.member(pool, serve("one").port)
    listeners = [tree.listener(pool, protocol="TCP") for pool in (tcp, http_pool)]
    amphora.apply(tree)
    assert [ask(listener).name for listener in listeners] == ["one", "one"]
    assert [b"set-cookie" in ask(listener).headers for listener in listeners] == [False, True]


def test_backups_work_only_while_no_other_member_can(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    main = tree.member(pool, serve("main").port)
    for name in ("b1", "b2"):
        tree.member(pool, serve(name).port, backup=True)
    listener = tree.listener(pool)
    amphora.apply(tree)
    assert {ask(listener).name for _ in range(4)} == {"main"}
    amphora.cli(f"set server {pool.id}:{listener.id}/{main.id} state maint")
    assert {ask(listener).name for _ in range(6)} == {"b1", "b2"}


def test_weights_share_the_work(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    for name, weight in (("three", 3), ("one", 1), ("none", 0)):
        tree.member(pool, serve(name).port, weight=weight)
    listener = tree.listener(pool)
    amphora.apply(tree)
    names = [ask(listener).name for _ in range(40)]
    assert (names.count("three"), names.count("one")) == (30, 10)


COOKIES = ["a'b", "#", "%[src]", "!#$%&'*+-.^_`|~", "x" * 255]


@pytest.mark.parametrize("cookie", COOKIES, ids=range(len(COOKIES)))
def test_an_application_cookie_of_any_name_keeps_a_client(amphora, serve, cookie):
    tree = Tree()
    pool = tree.pool(session_persistence=SessionPersistence(type="APP_COOKIE", cookie_name=cookie))
    for name in ("one", "two"):
        tree.member(pool, serve(name, cookie=cookie).port)
    listener = tree.listener(pool)
    amphora.apply(tree)
    for _ in range(2):
        first = ask(listener)
        sent = [(b"Cookie", cookie.encode() + b"=" + first.name.encode())]
        assert {ask(listener, headers=sent).name for _ in range(5)} == {first.name}
    assert len({ask(listener).name for _ in range(4)}) == 2


def test_a_reload_forgets_neither_clients_nor_who_was_down(amphora, serve):
    tree = Tree()
    sticky = tree.pool(session_persistence=SessionPersistence(type="SOURCE_IP"))
    for name in ("one", "two"):
        tree.member(sticky, serve(name).port)
    pinged = tree.pool()
    tree.monitor(pinged, "PING")
    up, down = (tree.member(pinged, serve(name).port) for name in ("up", "down"))
    listener, other = tree.listener(sticky), tree.listener(pinged)
    wish = amphora.apply(tree)
    assert {(probe.server, probe.kind) for probe in wish.probes} == {(up.id, "PING"), (down.id, "PING")}
    amphora.cli(f"set server {pinged.id}:{other.id}/{down.id} health down")
    sources = [f"127.0.0.{number}" for number in range(30, 40)]
    before = {source: ask(listener, source=source).name for source in sources}
    assert set(before.values()) == {"one", "two"}
    # For its first seconds a process has not given up learning from an older one, and teaches nobody.
    until(lambda: re.search(r"id=tables disabled=0 flags=0x[0-9a-f]*[37bf]\b", amphora.cli("show peers")), 30)
    listener.timeout_client_data = 1234
    amphora.apply(tree)
    until(lambda: len(amphora.cli(f"show table {sticky.id}:{listener.id}").splitlines()) > len(sources))
    assert {source: ask(listener, source=source).name for source in reversed(sources)} == before
    assert amphora.status(f"{pinged.id}:{other.id}", down.id) == "DOWN"
    assert {ask(other).name for _ in range(4)} == {"up"}


def test_health_is_told_at_once_and_traffic_is_not(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    tree.monitor(pool, "TCP")
    server = serve("one")
    member = tree.member(pool, server.port)
    tree.member(pool, serve("two").port)
    listener = tree.listener(pool)
    amphora.apply(tree)
    ask(listener)
    server.stop()
    server.stop = lambda: None
    heard = amphora.log.recv(65536).decode()
    assert heard.startswith(f"Server {pool.id}:{listener.id}/{member.id} is DOWN")


def test_http_monitors_ask_what_was_written(amphora, serve):
    tree = Tree()
    path = "/a'b#c%20$&()*+,;=:@?x=%5B"
    wishes = [
        ({"http_method": "HEAD", "url_path": path, "expected_codes": "200, \t204"}, ("HEAD", path, "HTTP/1.0"), "UP"),
        ({"http_version": 1.1, "domain_name": "_x.example.com"}, ("GET", "/", "HTTP/1.1"), "UP"),
        ({"expected_codes": "299-200", "http_method": "OPTIONS"}, ("OPTIONS", "/", "HTTP/1.0"), "UP"),
        ({"expected_codes": "000"}, ("GET", "/", "HTTP/1.0"), "DOWN"),
        ({"expected_codes": "201,999"}, ("GET", "/", "HTTP/1.0"), "DOWN"),
    ]
    seen = []
    for values, asked, status in wishes:
        pool, server = tree.pool(), serve("one")
        tree.monitor(pool, "HTTP", **values)
        nowhere = free_port()
        member = tree.member(pool, nowhere, address="127.0.0.9", monitor_address="127.0.0.1", monitor_port=server.port)
        seen.append((server, f"{pool.id}:{tree.listener(pool).id}", member, asked, status))
    amphora.apply(tree)
    for server, backend, member, asked, status in seen:
        until(lambda: server.asked)  # noqa: B023 -- called at once
        assert server.asked[0][:3] == asked
        until(lambda: amphora.status(backend, member.id) == status)  # noqa: B023 -- called at once
    assert {key.lower(): value for key, value in seen[1][0].asked[0][3].items()}["host"] == "_x.example.com"


def state_of(amphora, backend):
    """What HAProxy says of its servers, without what only time changes."""
    lines = amphora.cli(f"show servers state {backend}").splitlines()
    names = lines[1].split()[1:]
    rows = [dict(zip(names, line.split(), strict=True)) for line in lines[2:] if line]
    for row in rows:
        row["srv_admin_state"] = int(row["srv_admin_state"]) & ~4  # 4: maintenance was written in the file
        row["srv_check_state"] = int(row["srv_check_state"]) & ~8  # 8: checks paused, for servers without any
    volatile = ("srv_time_since_last_change", "srv_check_status", "srv_check_result", "srv_check_health", "be_id")
    return {(row["srv_name"], key): value for row in rows for key, value in row.items() if key not in volatile}


def stats_of(amphora, backend):
    """The settings of each server that `show stat` knows."""
    lines = [line.split(",") for line in amphora.cli("show stat").splitlines()]
    names = lines[0]
    kept = ("weight", "act", "bck", "check_rise", "check_fall", "cookie", "addr", "slim")
    rows = [dict(zip(names, line, strict=False)) for line in lines[1:]]
    return {row["svname"]: {key: row[key] for key in kept} for row in rows if row["# pxname"] == backend}


@pytest.mark.parametrize("algorithm", ["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"])
@pytest.mark.parametrize("monitor", ["TCP", "PING", None])
def test_a_server_added_at_run_time_equals_the_files(amphora, serve, algorithm, monitor, tmp_path_factory):
    tree = Tree()
    pool = tree.pool(algorithm, session_persistence=SessionPersistence(type="HTTP_COOKIE"))
    port = serve("one").port
    first_member = tree.member(pool, port)
    listener = tree.listener(pool)
    if monitor:
        tree.monitor(pool, monitor, max_retries=2, max_retries_down=4, delay=3)
    first = amphora.apply(tree)
    tree.member(pool, port, address="127.0.0.2", weight=200)
    tree.member(pool, port, address="::1", backup=True, monitor_address="::1", monitor_port=port)
    tree.member(pool, port, address="127.0.0.4", monitor_address="127.0.0.1", weight=0)
    tree.member(pool, port, address="127.0.0.5", admin_state_up=False, monitor_port=port)
    second = desired(tree.graph, "a", FACTS, (), 1)
    assert second.proxy.frame == first.proxy.frame
    backend = second.proxy.backends[0]
    assert backend.dynamic
    for server in backend.servers[1:]:
        where = f"{backend.name}/{server.name}"
        address = f"[{server.address}]" if ":" in server.address else server.address
        command = f"add server {where} {address}:{server.port} weight {server.weight} {server.arguments}"
        assert amphora.cli(command) == "New server registered."
        if server.checked:
            assert amphora.cli(f"enable health {where}") == ""
        if server.enabled:
            assert amphora.cli(f"enable server {where}") == ""
    assert amphora.cli(f"set dynamic-cookie-key backend {backend.name} {backend.cookie_key}") == ""
    amphora.cli(f"set server {backend.name}/{first_member.id} state maint")
    assert amphora.cli(f"del server {backend.name}/{first_member.id}") == "Server deleted."
    del tree.graph.members[first_member.id]
    fresh = Amphora(tmp_path_factory.mktemp("fresh"))
    try:
        moved = listener.protocol_port
        listener.protocol_port = free_port()
        fresh.apply(tree)
        for each in (amphora, fresh):
            assert each.status(backend.name, backend.servers[-1].name) == "MAINT"
            each.cli(f"set server {backend.name}/{backend.servers[-1].name} state ready")
        made, written = state_of(amphora, backend.name), state_of(fresh, backend.name)
        assert made == written
        assert stats_of(amphora, backend.name) == stats_of(fresh, backend.name)
        here, there = ([ask_at(port, f"127.0.1.{number}") for number in range(1, 9)] for port in (
            moved, listener.protocol_port))  # fmt: skip
        if algorithm == "SOURCE_IP":
            assert here == there
        assert all(here)
    finally:
        fresh.stop()


def ask_at(port, source):
    """The cookie by which HAProxy names the server that it chose."""
    with socket.create_connection((VIP, port), timeout=10, source_address=(source, 0)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return Answer(client.makefile("rb").read()).headers.get(b"set-cookie")


def test_it_starts_however_few_descriptors_there_are(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    tree.monitor(pool, "TCP")
    for _ in range(300):
        tree.member(pool, free_port(), address="127.0.0.9")
    tree.member(pool, serve("one").port)
    for limit in (-1, 0, None, 2**62):
        listener = tree.listener(pool, connection_limit=limit)
    amphora.apply(tree, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
    assert ask(listener).code in (200, 503)


def test_a_connection_limit_is_kept(amphora, serve):
    tree = Tree()
    pool = tree.pool()
    tree.member(pool, serve("one").port)
    listener = tree.listener(pool, connection_limit=1)
    amphora.apply(tree)
    with socket.create_connection((VIP, listener.protocol_port)) as first:
        first.sendall(b"GET / HTTP/1.1\r\n")
        until(lambda: listener_stat(amphora, listener)[4] == "1")
        with socket.create_connection((VIP, listener.protocol_port), timeout=0.3) as second:
            second.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            with pytest.raises(TimeoutError):
                second.recv(1)
    assert listener_stat(amphora, listener)[6] == "1"


def listener_stat(amphora, listener):
    rows = [line.split(",") for line in amphora.cli("show stat").splitlines()]
    return next(row for row in rows if row[:2] == [listener.id, "FRONTEND"])
