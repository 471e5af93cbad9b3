# SPDX-License-Identifier: Apache-2.0
"""Any tree that the vocabulary of values admits is rendered or refused by name, and HAProxy takes what is rendered."""

import ipaddress
import re
import subprocess
import tempfile
import uuid
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ottava.model import scalars
from ottava.model.attribute import attributes
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import METHODS, HealthMonitor
from ottava.model.l7 import ACTIONS, COMPARISONS, L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool, SessionPersistence
from ottava.translate.arguments import render, word
from ottava.translate.desired import desired
from ottava.translate.ir import LogFormat, Sample, Word
from ottava.translate.support import ALGORITHMS, INSERT_HEADERS, MONITORS, PROTOCOLS, RULES
from ottava.wire.heartbeat import Facts

PACE = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
HOSTILE = "#'\"\\%$[]{}()<>,;:!|&*^.+-=@~`?/ \tabRUN019é€\U0001f600\x01\x7f\x85\u2028"
BREAKING = "\n\r\x00"


def accepts(scalar):
    """Whether the API's vocabulary admits a value."""

    def check(value):
        try:
            scalar.read(value)
        except ValueError:
            return False
        return True

    return check


def scalar_of(cls, name):
    return attributes(cls)[name].scalar


characters = st.one_of(st.sampled_from(HOSTILE), st.characters(exclude_categories=["Cs"]))


def texts(scalar, least=0, most=255, alphabet=characters):
    """Text that `scalar` admits, with a liking for what means something to HAProxy."""
    piece = st.one_of(alphabet, alphabet, alphabet, st.sampled_from(["@RUN@", "%[src]", "-f", "'#", "%%", "x" * 100]))
    joined = st.lists(piece, min_size=least, max_size=12).map(lambda each: "".join(each)[:most])
    return joined.filter(accepts(scalar))


def maybe(strategy):
    return st.one_of(st.none(), strategy)


def flag(weight):
    return st.sampled_from([True] * weight + [False])


graphic = st.sampled_from([chr(code) for code in range(33, 127)])
urls = st.builds(
    lambda scheme, host, rest: f"{scheme}://{host}/{rest}"[:255],
    st.sampled_from(["http", "https"]),
    st.sampled_from(["h", "a.example.com:8080", "[2001:db8::1]"]),
    texts(scalars.TEXT_255, alphabet=graphic),
).filter(accepts(scalars.URL))
paths = st.lists(st.sampled_from("abc-._~!$&'()*+,;=:@/?#[]"), max_size=12).map(lambda each: "/" + "".join(each))
paths = paths.filter(accepts(scalars.PATH))
addresses = st.one_of(
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address), st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
).map(str)
cidrs = st.builds("{}/{}".format, addresses, st.integers(0, 32)).map(scalars.CIDR.read)
times = st.one_of(st.just(0), st.integers(0, 2073600000))
seconds = st.one_of(st.just(0), st.integers(0, 2147483))
codes = st.sampled_from(["000", "200", "404", "599", "999"])
VALUE = scalar_of(L7Rule, "value")
COOKIE_NAMES = texts(scalar_of(SessionPersistence, "cookie_name"), 1, alphabet=st.sampled_from("#'%$|&*+.^!~-_`ab"))

COMMON = st.fixed_dictionaries(
    {"admin_state_up": flag(7), "provisioning_status": st.sampled_from(["ACTIVE"] * 7 + ["PENDING_DELETE"])}
)
POOL = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from(PROTOCOLS),
        "lb_algorithm": st.sampled_from(ALGORITHMS),
        "session_persistence": st.one_of(
            st.none(),
            st.sampled_from(["SOURCE_IP", "HTTP_COOKIE"]).map(SessionPersistence),
            COOKIE_NAMES.map(lambda each: SessionPersistence("APP_COOKIE", cookie_name=each)),
        ),
    }
)
MEMBER = st.fixed_dictionaries(
    {
        "address": addresses,
        "protocol_port": st.integers(1, 65535),
        "weight": st.integers(0, 256),
        "backup": st.booleans(),
        "monitor_address": maybe(addresses),
        "monitor_port": maybe(st.integers(1, 65535)),
    }
)
MONITOR = st.fixed_dictionaries(
    {
        "type": st.sampled_from(MONITORS),
        "delay": seconds,
        "timeout": seconds,
        "max_retries": st.integers(1, 10),
        "max_retries_down": st.integers(1, 10),
        "http_method": maybe(st.sampled_from(METHODS)),
        "url_path": maybe(paths),
        "expected_codes": maybe(
            st.one_of(
                st.builds("{}-{}".format, codes, codes),
                st.lists(codes, min_size=1, max_size=9).map(" ,\t".join),
            ).filter(accepts(scalar_of(HealthMonitor, "expected_codes")))
        ),
        "http_version": st.sampled_from([None, 1.0, 1.1]),
        "domain_name": st.sampled_from([None, "a", "_a.example.com.", "x" * 63 + ".example"]),
    }
)
LISTENER = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from(PROTOCOLS),
        "protocol_port": st.integers(20000, 65535),
        "connection_limit": maybe(st.integers(-1, 2**63 - 1)),
        "insert_headers": st.dictionaries(
            st.sampled_from(INSERT_HEADERS), st.sampled_from(["true", "TRUE", "%[src]\n"])
        ),
        "timeout_client_data": times,
        "timeout_member_connect": times,
        "timeout_member_data": times,
        "timeout_tcp_inspect": times,
        "allowed_cidrs": maybe(
            st.integers(0, 150).flatmap(
                lambda n: st.lists(cidrs, min_size=1, max_size=3).map(lambda each: tuple(each * n))
            )
        ),
    }
)
POLICY = st.fixed_dictionaries(
    {
        "action": st.sampled_from(ACTIONS),
        "redirect_url": urls,
        "redirect_prefix": urls,
        "redirect_http_code": st.sampled_from([None, 301, 302, 303, 307, 308]),
        "position": st.integers(1, 5),
    }
)
REGEX = st.one_of(texts(VALUE, 1, 100).map(re.escape), st.sampled_from(["^a{1,3}$", "(", "a#'b|c", r"\d+"]))
RULE = st.fixed_dictionaries(
    {
        "type": st.sampled_from(RULES),
        "compare_type": st.sampled_from(COMPARISONS[1:]),
        "key": texts(scalar_of(L7Rule, "key"), 1),
        "value": texts(VALUE, 1),
        "invert": st.booleans(),
    }
)
REGEX_RULE = st.fixed_dictionaries({"compare_type": st.just("REGEX"), "value": REGEX.filter(accepts(VALUE))})


@st.composite
def trees(draw):
    """A whole load balancer of anything."""
    ticks = iter(range(1000000))
    salt = draw(st.integers(0, 2**64 - 1))

    def common():
        tick = next(ticks)
        return {
            "id": str(uuid.UUID(int=tick << 64 | salt)), "project_id": "p", "created_at": f"2026-01-01T00:00:00.{tick:06}"
        }  # fmt: skip

    lb = LoadBalancer(
        **common(), vip_address=draw(addresses), name=draw(texts(scalars.TEXT_255)), admin_state_up=draw(flag(9))
    )
    graph = LoadBalancerGraph(load_balancer=lb, generation=draw(st.integers(0, 9)))

    def add(cls, *strategies, **values):
        for strategy in (COMMON, *strategies):
            values |= draw(strategy)
        thing = cls(**common(), loadbalancer_id=lb.id, **values)
        getattr(graph, cls.kind.plural)[thing.id] = thing
        return thing

    def some(least, most):
        return range(draw(st.integers(least, most)))

    pools = [add(Pool, POOL) for _ in some(1, 3)]
    for pool in pools:
        for _ in some(1, 4):
            add(Member, MEMBER, pool_id=pool.id)
        for _ in some(0, 1):
            add(HealthMonitor, MONITOR, pool_id=pool.id)
    choices = st.sampled_from(pools).map(lambda pool: pool.id)
    listeners = [add(Listener, LISTENER, default_pool_id=draw(maybe(choices))) for _ in some(1, 3)]
    parents = st.sampled_from(listeners).map(lambda listener: listener.id)
    for _ in some(0, 6):
        policy = add(L7Policy, POLICY, listener_id=draw(parents), redirect_pool_id=draw(choices))
        for _ in some(0, 3):
            add(L7Rule, RULE, *([REGEX_RULE] if draw(flag(1)) else []), l7policy_id=policy.id)
    return graph


FACTS = Facts(nofile=20000, cpus=2)


def wish_of(graph, **facts):
    return desired(graph, "amphora", msgspec.structs.replace(FACTS, **facts), (), 3)


def judged(text):
    """(whether HAProxy takes it, the lines that it blames, its words)"""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "haproxy.cfg"
        path.write_text(text.replace("@RUN@", directory))
        (path.parent / "server-state").write_text("1\n")
        ran = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, check=False)
    words = (ran.stdout + ran.stderr).decode(errors="replace")
    return ran.returncode == 0, {int(each) for each in re.findall(r"haproxy\.cfg:(\d+)\]", words)}, words


def owner_of(proxy, line):
    return [owner for first, owner in proxy.owners if first <= line][-1]


@PACE
@given(trees())
def test_haproxy_takes_whatever_the_vocabulary_admits(graph):
    proxy = wish_of(graph).proxy
    good, lines, words = judged(proxy.text)
    regexes = {rule.id for rule in graph.rules.values() if rule.compare_type == "REGEX"}
    blamed = {owner_of(proxy, line) for line in lines}
    if good:
        assert "WARNING" not in words, words
    else:
        # Only PCRE can say what it takes; and then the right rule is to blame, and the policy that uses it.
        assert blamed & regexes, words
        assert blamed <= regexes | graph.l7policies.keys(), words


@PACE
@given(trees(), st.randoms())
def test_equal_trees_have_equal_digests(graph, chance):
    wish = wish_of(graph)
    twin = msgspec.json.decode(msgspec.json.encode(graph), type=LoadBalancerGraph)
    for kind in ("listeners", "pools", "members", "healthmonitors", "l7policies", "rules"):
        items = list(getattr(twin, kind).items())
        chance.shuffle(items)
        setattr(twin, kind, dict(items))
    assert wish_of(twin) == wish
    later = msgspec.structs.replace(twin, generation=graph.generation + 1)
    assert wish_of(later).digest == wish.digest
    assert desired(twin, "amphora", FACTS, (), 4).digest == wish.digest


@PACE
@given(trees(), st.data())
def test_members_never_change_the_frame(graph, data):
    proxy = wish_of(graph).proxy
    fewer = msgspec.structs.replace(graph, members=dict(graph.members))
    gone = fewer.members.pop(data.draw(st.sampled_from(list(graph.members))))
    less = wish_of(fewer).proxy
    assert less.frame == proxy.frame
    remaining = {server for backend in less.backends for server in backend.servers}
    assert all(
        server in remaining or server.name == gone.id for backend in proxy.backends for server in backend.servers
    )
    text = "".join(line for line in proxy.text.splitlines(keepends=True) if f"server {gone.id} " not in line)
    assert text == less.text


@PACE
@given(trees())
def test_every_line_has_an_owner_and_every_server_its_line(graph):
    proxy = wish_of(graph).proxy
    known = {thing.id for thing in graph.objects()}
    assert {owner for _, owner in proxy.owners} <= known
    firsts = [first for first, _ in proxy.owners]
    assert firsts == sorted(set(firsts))
    assert firsts[0] == 1
    lines = proxy.text.split("\n")
    servers = [line.split()[1] for line in lines if line.startswith("    server ")]
    assert servers == [server.name for backend in proxy.backends for server in backend.servers]
    for number, line in enumerate(lines, 1):
        if line.startswith("    server "):
            assert owner_of(proxy, number) == line.split()[1]


@given(st.text(), st.sampled_from(BREAKING), st.text())
def test_no_argument_breaks_its_line(before, breaking, after):
    for kind in (Word, LogFormat, lambda text: Sample("req.hdr", text)):
        with pytest.raises(ValueError, match="line break or NUL"):
            render(kind(before + breaking + after))


@given(st.text(characters.filter(lambda char: char not in BREAKING), min_size=1))
def test_a_word_is_never_taken_for_the_amphoras_directory(text):
    assert "@RUN@" not in word(text)


@PACE
@given(trees())
def test_a_value_that_breaks_a_line_is_refused_with_the_name_of_its_object(graph):
    graph.load_balancer.admin_state_up = True
    common = {"project_id": "p", "created_at": "", "loadbalancer_id": graph.load_balancer.id}
    listener = Listener(id=str(uuid.uuid4()), protocol="HTTP", protocol_port=80, **common)
    graph.listeners[listener.id] = listener
    policy = L7Policy(id=str(uuid.uuid4()), listener_id=listener.id, action="REJECT", **common)
    rule = L7Rule(
        id=str(uuid.uuid4()), l7policy_id=policy.id, type="PATH", compare_type="EQUAL_TO", value="a\nb", **common
    )
    graph.l7policies[policy.id] = policy
    graph.rules[rule.id] = rule
    with pytest.raises(ValueError, match=rule.id):
        wish_of(graph)
