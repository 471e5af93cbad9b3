# SPDX-License-Identifier: Apache-2.0
"""What the operator allows: it binds what is new, and leaves alone what was taken before."""

from typing import Any

import pytest
from support.trees import graph, make

from ottava.model import errors
from ottava.model.health_monitor import HealthMonitor
from ottava.model.listener import POOL_PROTOCOLS, PROTOCOLS, Listener
from ottava.model.load_balancer import AdditionalVip, LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import PROTOCOLS as POOL_SPEAKS
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules import consistency
from ottava.rules.deployment import STANDARD, Deployment, Tls


def terminating(**values: Any) -> Listener:
    return make(Listener, **{"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "ref", **values})


def refused(thing: Resource, deployment: Deployment, old: Resource | None = None, *more: Resource) -> errors.Refused:
    with pytest.raises(errors.Refused) as caught:
        consistency.check(graph(make(Pool), *more), thing, deployment, old)
    return caught.value


DISABLED = [
    (terminating(), Deployment(tls_listeners=False), "TERMINATED_HTTPS"),
    (make(Listener, protocol="PROMETHEUS"), Deployment(prometheus_listeners=False), "PROMETHEUS"),
    (
        make(Listener, protocol="PROMETHEUS", sni_container_refs=("ref",)),
        Deployment(tls_listeners=False),
        "PROMETHEUS with TLS",
    ),
    (make(HealthMonitor, type="PING"), Deployment(ping_monitors=False), "PING"),
]


@pytest.mark.parametrize(("thing", "deployment", "value"), DISABLED)
def test_what_is_switched_off_is_refused_and_what_is_there_stays(
    thing: Resource, deployment: Deployment, value: str
) -> None:
    error = refused(thing, deployment)
    assert isinstance(error, errors.DisabledOption)
    assert error.facts["value"] == value
    consistency.check(graph(make(Pool)), thing, STANDARD)
    consistency.check(graph(make(Pool)), thing, deployment, thing)


STRICT = Deployment(minimum_tls_version="TLSv1.2", prohibited_ciphers=frozenset(("WEAK",)))


@pytest.mark.parametrize("speaker", [terminating(), make(Pool, tls_enabled=True)])
@pytest.mark.parametrize("values", [{"tls_versions": ("TLSv1.1", "TLSv1.3")}, {"tls_ciphers": "GOOD:WEAK"}])
def test_versions_and_ciphers_bind_what_is_new(speaker: Any, values: dict[str, Any]) -> None:
    weak = type(speaker)(**{**{name: getattr(speaker, name) for name in speaker.__struct_fields__}, **values})
    assert isinstance(refused(weak, STRICT), errors.Invalid)
    assert isinstance(refused(weak, STRICT, speaker), errors.Invalid)
    consistency.check(graph(), weak, STRICT, weak)
    consistency.check(graph(), weak)


def test_ciphers_are_told_apart_by_their_whole_names() -> None:
    consistency.check(graph(), terminating(tls_ciphers="WEAKER:NOT-WEAK"), STRICT)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_oldest_version_that_is_allowed_is_allowed(version: str) -> None:
    consistency.check(graph(), terminating(tls_versions=(version,)), STRICT)


def test_defaults_are_the_operators() -> None:
    deployment = Deployment(
        listener_tls=Tls("L", ("TLSv1.3",), ("h2",)), pool_tls=Tls("P", ("TLSv1.2",), ("http/1.1",))
    )
    listener = consistency.complete(graph(), terminating(), deployment)
    assert (listener.tls_ciphers, listener.tls_versions, listener.alpn_protocols) == ("L", ("TLSv1.3",), ("h2",))
    pool = consistency.complete(graph(), make(Pool, tls_enabled=True), deployment)
    assert (pool.tls_ciphers, pool.tls_versions, pool.alpn_protocols) == ("P", ("TLSv1.2",), ("http/1.1",))
    nulls = dict.fromkeys(("tls_ciphers", "tls_versions", "alpn_protocols"))
    assert consistency.merge(listener, nulls, deployment) == listener
    merged = consistency.merge(pool, nulls, deployment)
    assert (merged.tls_ciphers, merged.tls_versions, merged.alpn_protocols) == ("P", ("TLSv1.2",), None)


def test_defaults_say_nothing_where_no_tls_is_spoken() -> None:
    for thing in (make(Listener), make(Listener, protocol="PROMETHEUS"), make(Pool)):
        completed = consistency.complete(graph(), thing)
        assert (completed.tls_ciphers, completed.tls_versions, completed.alpn_protocols) == (None, None, None)


@pytest.mark.parametrize(("least", "delay", "fits"), [(3, 3, True), (3, 2, False), (-1, 0, True), (0, 0, True)])
def test_how_often_udp_connect_may_ask(least: int, delay: int, fits: bool) -> None:
    monitor = make(HealthMonitor, type="UDP-CONNECT", delay=delay)
    pool = make(Pool, protocol="UDP")
    if fits:
        consistency.check(graph(pool), monitor, Deployment(udp_connect_interval=least))
    else:
        assert "should be larger than" in str(refused(monitor, Deployment(udp_connect_interval=least), None, pool))


def test_reserved_addresses_are_the_operators() -> None:
    deployment = Deployment(reserved_ips=("198.18.0.20", "2001:db8::1"))
    for address in ("198.18.0.20", "2001:DB8:0::1", "::ffff:198.18.0.20"):
        assert isinstance(refused(make(Member, address=address), deployment), errors.BadOption)
    consistency.check(graph(make(Pool)), make(Member, address="169.254.169.254"), deployment)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "VIP must contain one of: vip_network_id."),
        ({"vip_port_id": "p", "vip_network_id": "n"}, "vip_port_id is disallowed"),
        ({"vip_network_id": "n", "vip_subnet_id": "s"}, None),
        ({"vip_subnet_id": "s"}, "vip_subnet_id is disallowed"),
    ],
)
def test_where_virtual_ips_may_come_from(values: dict[str, str], words: str | None) -> None:
    thing = make(LoadBalancer, **{"vip_port_id": None, **values})
    deployment = Deployment(vip_sources=("vip_network_id",))
    if words is None:
        consistency.check(graph(), thing, deployment)
    else:
        assert words in str(refused(thing, deployment))


@pytest.mark.parametrize(
    ("deployment", "allowed"),
    [
        (Deployment(vip_networks=frozenset(("n", "m"))), True),
        (Deployment(vip_networks=frozenset(("m",))), False),
        (Deployment(denied_vip_networks=frozenset(("n",))), False),
        (Deployment(denied_vip_networks=frozenset(("m",))), True),
        (Deployment(vip_networks=frozenset(("n",)), denied_vip_networks=frozenset(("n",))), False),
    ],
)
def test_networks_that_virtual_ips_may_be_in(deployment: Deployment, allowed: bool) -> None:
    thing = make(LoadBalancer, vip_network_id="n")
    if allowed:
        consistency.check(graph(), thing, deployment)
    else:
        assert "network n" in str(refused(thing, deployment))
        consistency.check(graph(), thing, deployment, thing)


def test_virtual_ips_are_of_different_subnets() -> None:
    vips = (AdditionalVip("a"), AdditionalVip("b"))
    consistency.check(graph(), make(LoadBalancer, vip_subnet_id="c", additional_vips=vips))
    for subnet, more in (("a", vips), (None, (AdditionalVip("a"), AdditionalVip("a")))):
        thing = make(LoadBalancer, vip_subnet_id=subnet, additional_vips=more)
        assert "duplicate" in str(refused(thing, STANDARD))


def test_security_groups_stand_alone() -> None:
    groups = make(LoadBalancer, vip_sg_ids=("g",))
    consistency.check(graph(make(Listener)), groups)
    guarded = make(Listener, allowed_cidrs=("198.51.100.0/24",))
    assert isinstance(refused(groups, STANDARD, make(LoadBalancer), guarded), errors.Invalid)
    consistency.check(graph(guarded), groups, old=groups)
    leaving = make(Listener, allowed_cidrs=("198.51.100.0/24",), provisioning_status="PENDING_DELETE")
    consistency.check(graph(leaving), groups)
    assert isinstance(refused(make(LoadBalancer, vip_sg_ids=("g",), vip_vnic_type="direct"), STANDARD), errors.Invalid)
    with pytest.raises(errors.Invalid):
        consistency.check(graph(vip_sg_ids=("g",)), guarded)


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("insert_headers", {"insert_headers": {}}),
    ("client_ca_tls_container_ref needs", {"client_ca_tls_container_ref": None}),
    ("needs a certificate", {"default_tls_container_ref": "ref"}),
    ("client_authentication", {"client_authentication": "NONE"}),
    ("client_crl_container_ref", {"client_crl_container_ref": None}),
    ("WEAK", {"tls_ciphers": None}),
    ("what=listener", {"protocol_port": 81}),
    ("allowed_cidrs", {"allowed_cidrs": None}),
    ("tls_versions", {"tls_versions": ("TLSv1.3",)}),
    ("hsts_preload", {"hsts_max_age": 1}),
]
"""Of a listener that has them all, in the order in which they are reported, each with what mends it."""


def test_of_several_faults_the_first_is_reported() -> None:
    values: dict[str, Any] = {
        "insert_headers": {"X-Bogus": "true"}, "client_ca_tls_container_ref": "ca", "default_tls_container_ref": None,
        "client_authentication": "MANDATORY", "client_crl_container_ref": "crl", "tls_ciphers": "WEAK",
        "protocol_port": 80, "allowed_cidrs": ("2001:db8::/32",), "tls_versions": (), "hsts_preload": True,
    }  # fmt: skip
    taken = make(Listener, id="taken", protocol="TCP")
    for words, mended in FAULTS:
        assert words in str(refused(terminating(id="new", **values), STRICT, None, taken))
        values |= mended
    consistency.check(graph(taken), terminating(id="new", **values), STRICT)


MATRIX = [(front, behind, behind in POOL_PROTOCOLS[front]) for front in PROTOCOLS for behind in POOL_SPEAKS]


@pytest.mark.parametrize(("front", "behind", "fits"), MATRIX)
def test_which_pools_may_stand_behind_which_listeners(front: str, behind: str, fits: bool) -> None:
    listener = make(Listener, protocol=front, default_pool_id="pool", default_tls_container_ref=None)
    if front == "TERMINATED_HTTPS":
        listener = terminating(default_pool_id="pool")
    found = graph(make(Pool, protocol=behind))
    if fits:
        consistency.check(found, listener)
        return
    with pytest.raises(errors.NoChildren if front == "PROMETHEUS" else errors.Invalid):
        consistency.check(found, listener)
