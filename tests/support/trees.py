# SPDX-License-Identifier: Apache-2.0
"""Objects of a load balancer's tree for tests of pure functions, with short ids."""

from typing import Any, TypeVar

from ottava.model import status
from ottava.model.graph import RESOURCES, LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource

R = TypeVar("R", bound=Resource)

TYPICAL: dict[type[Resource], dict[str, Any]] = {
    LoadBalancer: {"id": "lb", "vip_address": "198.18.0.5", "vip_port_id": "port"},
    Listener: {"id": "listener", "protocol": "HTTP", "protocol_port": 80},
    Pool: {"id": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
    Member: {"id": "member", "pool_id": "pool", "address": "198.18.0.20", "protocol_port": 8080},
    HealthMonitor: {
        "id": "monitor", "pool_id": "pool", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2,
    },
    L7Policy: {"id": "policy", "listener_id": "listener", "action": "REJECT"},
    L7Rule: {
        "id": "rule", "l7policy_id": "policy", "type": "PATH", "compare_type": "STARTS_WITH", "value": "/api",
    },
}  # fmt: skip


def make(cls: type[R], **values: Any) -> R:
    """A typical object of the kind, ACTIVE and ONLINE unless said otherwise."""
    known: dict[str, Any] = {
        "project_id": "project",
        "created_at": "2026-01-02T03:04:05.123456",
        "provisioning_status": status.ACTIVE,
        "operating_status": status.ONLINE,
        **TYPICAL[cls],
    }
    if cls is not LoadBalancer:
        known["loadbalancer_id"] = "lb"
    return cls(**{**known, **values})


def graph(*things: Resource, **load_balancer: Any) -> LoadBalancerGraph:
    """A graph of those objects; its load balancer has those values."""
    found = LoadBalancerGraph(load_balancer=make(LoadBalancer, **load_balancer))
    for thing in things:
        getattr(found, RESOURCES[thing.kind.name].kind.plural)[thing.id] = thing
    return found
