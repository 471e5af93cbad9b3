# SPDX-License-Identifier: Apache-2.0
"""What must hold of a health monitor."""

from collections.abc import Mapping

import msgspec

from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HTTP_TYPES, HealthMonitor
from ottava.model.pool import Pool
from ottava.rules.consistency.surroundings import others, referred

HTTP_DEFAULTS = {"http_method": "GET", "url_path": "/", "expected_codes": "200"}
"""What a monitor asks for and expects over HTTP, where it does not say."""


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


def check(graph: LoadBalancerGraph, monitor: HealthMonitor) -> None:
    """Its values fit its type and each other, and its pool has no other."""
    referred(graph.pools, Pool, monitor.pool_id)
    if monitor.type not in HTTP_TYPES:
        _refuse_http(monitor, [name for name in HTTP_DEFAULTS if getattr(monitor, name) is not None])
    if monitor.domain_name is not None and (monitor.http_version is None or monitor.http_version < 1.1):
        raise errors.Invalid(reason="domain_name needs http_version 1.1: older versions have no Host header.")
    if any(other.pool_id == monitor.pool_id for other in others(graph.healthmonitors, monitor)):
        raise errors.Duplicate(what="healthmonitor", id=monitor.pool_id)


def _refuse_http(monitor: HealthMonitor, names: list[str]) -> None:
    if names:
        raise errors.BadOption(value=names[0], option=f"health monitors of type {monitor.type}")
