# SPDX-License-Identifier: Apache-2.0
"""What must hold of a listener."""

import ipaddress
from collections.abc import Mapping

import msgspec

from ottava.model import errors, scalars
from ottava.model.graph import LoadBalancerGraph
from ottava.model.listener import INSERT_HEADERS, Listener
from ottava.model.pool import Pool
from ottava.rules.consistency.surroundings import check_protocols, others, referred

TLS_HEADERS = frozenset(
    f"X-SSL-{name}"
    for name in (
        "Client-Verify", "Client-Has-Cert", "Client-DN", "Client-CN", "Issuer", "Client-SHA1", "Client-Not-Before",
        "Client-Not-After",
    )
)  # fmt: skip
"""Headers about a client's certificate: only a listener that terminates TLS knows them."""

LAYER_4 = {"TCP": "TCP", "HTTP": "TCP"}
"""A port is taken once for each of these."""


def complete(listener: Listener) -> Listener:
    """An empty list of networks lets everybody in, as none does."""
    return listener if listener.allowed_cidrs else msgspec.structs.replace(listener, allowed_cidrs=None)


def merge(old: Listener, changes: Mapping[str, object]) -> Listener:
    """Sparse, as everywhere."""
    return complete(msgspec.structs.replace(old, **changes))


def check(graph: LoadBalancerGraph, listener: Listener) -> None:
    """Its default pool, headers, port and networks."""
    if listener.default_pool_id is not None:
        check_protocols(listener, referred(graph.pools, Pool, listener.default_pool_id))
    _check_headers(listener)
    _check_port(graph, listener)
    _check_cidrs(graph, listener)


def _check_headers(listener: Listener) -> None:
    if not listener.insert_headers:
        return
    if listener.protocol != "HTTP":
        raise errors.BadOption(value="insert-headers", option=f"a {listener.protocol} protocol listener.")
    unknown = sorted(set(listener.insert_headers) - set(INSERT_HEADERS) - TLS_HEADERS)
    if unknown:
        raise errors.BadOption(value=unknown, option="insert_headers")
    encrypted = sorted(TLS_HEADERS & set(listener.insert_headers))
    if encrypted:
        raise errors.BadOption(value=encrypted, option=f"{listener.protocol} protocol listener.")


def _check_port(graph: LoadBalancerGraph, listener: Listener) -> None:
    layer = LAYER_4[listener.protocol]
    for other in others(graph.listeners, listener):
        if other.protocol_port == listener.protocol_port and LAYER_4[other.protocol] == layer:
            raise errors.Duplicate(what="listener", protocol=other.protocol, protocol_port=other.protocol_port)


def _check_cidrs(graph: LoadBalancerGraph, listener: Listener) -> None:
    vip = graph.load_balancer.vip_address
    if not listener.allowed_cidrs or vip is None:
        return
    version = scalars.address(vip).version
    for cidr in listener.allowed_cidrs:
        if ipaddress.ip_network(cidr).version != version:
            raise errors.Invalid(
                reason=f"allowed_cidrs: {cidr} is not IPv{version}, as the virtual IP of the load balancer is."
            )
