# SPDX-License-Identifier: Apache-2.0
"""What the data plane cannot carry out yet, although the API knows it."""

from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import HTTP_PROTOCOLS, Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource

PROTOCOLS = ("TCP", "HTTP")
"""Of listeners and pools."""
ALGORITHMS = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP")
INSERT_HEADERS = ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto")
MONITORS = ("HTTP", "TCP", "PING")
RULES = ("HOST_NAME", "PATH", "FILE_TYPE", "HEADER", "COOKIE")


def lacking(thing: Resource, graph: LoadBalancerGraph) -> str | None:
    """A sentence that says what of `thing`, in its `graph`, cannot be carried out; None where all of it can."""
    reason = None
    match thing:
        case LoadBalancer() if thing.additional_vips:
            reason = "Additional virtual IPs are not served yet."
        case Listener():
            reason = _listener(thing)
        case Pool():
            reason = _pool(thing)
        case HealthMonitor() if thing.type not in MONITORS:
            reason = f"Health monitors of type {thing.type} do not work yet."
        case Member() if thing.vnic_type != "normal":
            reason = "SR-IOV ports of members are not made yet."
        case L7Policy():
            reason = _policy(thing, graph)
        case L7Rule() if thing.type not in RULES:
            reason = f"L7 rules of type {thing.type} do not work yet."
    return reason


def _listener(listener: Listener) -> str | None:
    if listener.protocol not in PROTOCOLS:
        return f"{listener.protocol} protocol listeners are not served yet."
    missing = [name for name, value in listener.insert_headers.items() if value.lower() == "true"]
    missing = [name for name in missing if name not in INSERT_HEADERS]
    return f"{', '.join(missing)} cannot be inserted yet." if missing else None


def _pool(pool: Pool) -> str | None:
    if pool.protocol not in PROTOCOLS:
        return f"{pool.protocol} protocol pools are not served yet."
    if pool.lb_algorithm not in ALGORITHMS:
        return f"lb_algorithm {pool.lb_algorithm} does not work yet."
    return "Members are not spoken to over TLS yet." if pool.tls_enabled else None


def _policy(policy: L7Policy, graph: LoadBalancerGraph) -> str | None:
    listener = graph.listeners.get(policy.listener_id)
    if listener is None or listener.protocol in HTTP_PROTOCOLS:
        return None
    return f"{listener.protocol} protocol listeners do not support L7 policies"
