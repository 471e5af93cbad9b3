# SPDX-License-Identifier: Apache-2.0
"""Desired as a whole, and the small parts that have rules of their own."""

import msgspec
import pytest

from ottava.model.graph import LoadBalancerGraph
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.translate.arguments import name, render, word
from ottava.translate.desired import desired
from ottava.translate.ir import AclString, LogFormat, Port, RunPath, Sample
from ottava.translate.limits import limits
from ottava.translate.servers import servers
from ottava.wire.desired import Bridge, Interface, digest
from ottava.wire.heartbeat import Facts

BRIDGE = Bridge("ot-b00000001", ("198.18.0.1/24",), 1400)
PORT = Port(
    network_id="n",
    port_id="p",
    mac="02:00:00:00:00:01",
    addresses=("198.18.0.5/24",),
    gateways=("198.18.0.1",),
    bridge=BRIDGE,
    mtu=1400,
)
COMMON = {"project_id": "p", "created_at": "", "loadbalancer_id": "lb"}


@pytest.fixture
def graph():
    lb = LoadBalancer(id="lb", project_id="p", created_at="", vip_address="198.18.0.5")
    pool = Pool(id="pool", protocol="HTTP", lb_algorithm="ROUND_ROBIN", **COMMON)
    listener = Listener(id="listener", protocol="HTTP", protocol_port=80, default_pool_id="pool", **COMMON)
    return LoadBalancerGraph(
        load_balancer=lb, listeners={"listener": listener}, pools={"pool": pool}, generation=7, observed_generation=6
    )


def member(number, **values):
    return Member(id=f"m{number}", pool_id="pool", address="198.18.0.9", protocol_port=number, **COMMON, **values)


def test_the_wish_says_what_it_is_for(graph):
    wish = desired(graph, "amphora", Facts(), (PORT, PORT), 3)
    assert (wish.amphora_id, wish.loadbalancer_id, wish.epoch, wish.generation) == ("amphora", "lb", 3, 7)
    assert wish.digest == digest(wish) != ""
    net0 = Interface("net0", PORT.mac, BRIDGE, PORT.addresses, PORT.gateways, 1400)
    assert wish.interfaces == (net0, msgspec.structs.replace(net0, name="net1"))
    assert [backend.name for backend in wish.proxy.backends] == ["pool:listener"]


def test_a_change_of_anything_served_changes_the_digest(graph):
    before = desired(graph, "amphora", Facts(), (PORT,), 3)
    graph.members["m1"] = member(1)
    after = desired(graph, "amphora", Facts(), (PORT,), 3)
    assert after.digest != before.digest
    assert after.proxy.frame == before.proxy.frame
    graph.listeners["listener"].timeout_client_data = 1
    assert desired(graph, "amphora", Facts(), (PORT,), 3).proxy.frame != before.proxy.frame


def test_without_a_virtual_address_nothing_can_be_bound(graph):
    graph.load_balancer.vip_address = None
    with pytest.raises(ValueError, match="load balancer lb has no VIP address"):
        desired(graph, "amphora", Facts(), (), 1)


def test_servers_have_numbers_of_their_own_that_neighbours_do_not_change():
    many = [member(number) for number in range(1, 2000)]
    numbers = [server.arguments for server in servers(many, None)]
    assert len(set(numbers)) == len(numbers)
    assert [server.arguments for server in servers(many[1000:], None)] == numbers[1000:]


@pytest.mark.parametrize("nofile", [64, 256, 1024, 20000, 1048576])
def test_descriptors_suffice_for_what_is_promised(nofile):
    bounds = limits(Facts(nofile=nofile), [None, -1, 10**12])
    assert bounds.maxconn >= 1
    assert nofile < 256 or 2 * bounds.maxconn + 2 * bounds.maxpipes < nofile
    assert bounds.frontend(None) <= bounds.maxconn


def test_limits_follow_what_listeners_ask():
    facts = Facts(nofile=1048576, cpus=64)
    assert [limits(facts, asked).maxconn for asked in ([10, 20], [0], [-1, None], [])] == [30, 50000, 100000, 50000]
    assert limits(facts, [10, 20]).frontend(10) == 10
    assert limits(facts, [1]).threads == 4


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (AclString("plain-/.text"), "plain-/.text"),
        (AclString("a'b"), "'a'\\''b'"),
        (AclString("#"), "'#'"),
        (AclString("@RUN@"), "'@R''UN@'"),
        (LogFormat("100%"), "100%%"),
        (LogFormat("%[src] x"), "'%%[src] x'"),
        (Sample("req.hdr", "X-Y", ("lower",)), "req.hdr(X-Y),lower"),
        (Sample("req.hdr", 'a"\\,)'), '\'req.hdr("a\\"\\\\,)")\''),
        (RunPath("chroot"), "@RUN@/chroot"),
    ],
)
def test_each_kind_of_argument_is_written_its_way(argument, text):
    assert render(argument) == text


@pytest.mark.parametrize("text", ["", "a\nb", "a\rb", "a\0b"])
def test_what_no_line_can_hold_is_refused(text):
    with pytest.raises(ValueError, match=r"argument would end|line break or NUL"):
        word(text)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "é", "a'b", "$x"])
def test_names_are_plain(text):
    with pytest.raises(ValueError, match="cannot be a name"):
        name(text)
