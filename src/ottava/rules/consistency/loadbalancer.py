# SPDX-License-Identifier: Apache-2.0
"""What must hold of a load balancer."""

from itertools import chain

from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import LoadBalancer

VIP_SOURCES = ("vip_port_id", "vip_network_id", "vip_subnet_id")


def check(load_balancer: LoadBalancer) -> None:
    """It says where its VIP comes from; whether that exists is cloud/network's to say."""
    if not any(getattr(load_balancer, name) for name in VIP_SOURCES):
        raise errors.Invalid(reason=f"VIP must contain one of: {', '.join(VIP_SOURCES)}.")


def check_delete(graph: LoadBalancerGraph, cascade: bool) -> None:
    """It has no children, or they go with it."""
    children = chain(graph.listeners.values(), graph.pools.values())
    if not cascade and any(child.provisioning_status != status.PENDING_DELETE for child in children):
        raise errors.Invalid(reason=f"Cannot delete Load Balancer {graph.load_balancer.id} - it has children")
