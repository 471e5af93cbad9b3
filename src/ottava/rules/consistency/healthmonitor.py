# SPDX-License-Identifier: Apache-2.0
"""What must hold of a health monitor."""

from collections.abc import Mapping

import msgspec

from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import DATAGRAM_TYPES, HTTP_TYPES, HealthMonitor
from ottava.model.pool import DATAGRAM_PROTOCOLS, Pool
from ottava.rules.consistency.surroundings import others, referred
from ottava.rules.deployment import Deployment

HTTP_DEFAULTS = {"http_method": "GET", "url_path": "/", "expected_codes": "200"}
"""What a monitor asks for and expects over HTTP, where it does not say."""


TYPES_OF_DATAGRAM_POOLS = (*DATAGRAM_TYPES, "TCP", "HTTP")
"""What members that speak UDP or SCTP may be asked; some of them answer on TCP beside it."""


def complete(monitor: HealthMonitor) -> HealthMonitor:
    """Over HTTP, the request and the answer have defaults."""
    if monitor.type not in HTTP_TYPES:
        return monitor
    missing = {name: value for name, value in HTTP_DEFAULTS.items() if getattr(monitor, name) is None}
    return msgspec.structs.replace(monitor, **missing) if missing else monitor


def merge(old: HealthMonitor, changes: Mapping[str, object]) -> HealthMonitor:
    """A null resets what belongs to HTTP, and even a null is out of place elsewhere."""
    if old.type not in HTTP_TYPES:
        _refuse_http(old, [name for name in HTTP_DEFAULTS if name in changes])
    return complete(msgspec.structs.replace(old, **changes))


def check(graph: LoadBalancerGraph, monitor: HealthMonitor, old: HealthMonitor | None, deployment: Deployment) -> None:
    """Its type fits its pool, its values fit its type and each other, and its pool has no other."""
    pool = referred(graph.pools, Pool, monitor.pool_id)
    if old is None:
        _check_type(monitor, pool, deployment)
    if monitor.type == "UDP-CONNECT" and monitor.delay < deployment.udp_connect_interval:
        raise errors.Invalid(
            reason=f"The delay of UDP-CONNECT health monitors should be larger than {deployment.udp_connect_interval} "
            f"or equal to it, and {monitor.delay} is not."
        )
    if monitor.type not in HTTP_TYPES:
        _refuse_http(monitor, [name for name in HTTP_DEFAULTS if getattr(monitor, name) is not None])
    if monitor.domain_name is not None and (monitor.http_version is None or monitor.http_version < 1.1):
        raise errors.Invalid(reason="domain_name needs http_version 1.1: older versions have no Host header.")
    if any(other.pool_id == monitor.pool_id for other in others(graph.healthmonitors, monitor)):
        raise errors.Duplicate(what="healthmonitor", id=monitor.pool_id)


def _check_type(monitor: HealthMonitor, pool: Pool, deployment: Deployment) -> None:
    if monitor.type == "PING" and not deployment.ping_monitors:
        raise errors.DisabledOption(option="type", value=monitor.type)
    if pool.protocol in DATAGRAM_PROTOCOLS:
        if monitor.type not in TYPES_OF_DATAGRAM_POOLS:
            raise errors.Invalid(
                reason=f"The associated pool protocol is {pool.protocol}, so only a "
                f"{'/'.join(TYPES_OF_DATAGRAM_POOLS)} health monitor is supported."
            )
    elif monitor.type in DATAGRAM_TYPES:
        raise errors.Invalid(reason=f"The {monitor.type} type is only supported for pools of type UDP/SCTP.")


def _refuse_http(monitor: HealthMonitor, names: list[str]) -> None:
    if names:
        raise errors.BadOption(value=names[0], option=f"health monitors of type {monitor.type}")
