# SPDX-License-Identifier: Apache-2.0
"""What must hold of a load balancer."""

from itertools import chain

from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import LoadBalancer
from ottava.rules.deployment import VIP_SOURCES, Deployment


def check(
    graph: LoadBalancerGraph, load_balancer: LoadBalancer, old: LoadBalancer | None, deployment: Deployment
) -> None:
    """It says where its virtual IPs come from, which the operator allows, and who guards them.

    Whether all of that exists is cloud/network's to say.
    """
    if old is None:
        _check_source(load_balancer, deployment)
        _check_network(load_balancer.vip_network_id, deployment)
        _check_additional(load_balancer)
    if load_balancer.vip_sg_ids and (old is None or old.vip_sg_ids != load_balancer.vip_sg_ids):
        if load_balancer.vip_vnic_type == "direct":
            raise errors.Invalid(reason="vip_sg_ids cannot be used where vip_vnic_type is direct.")
        staying = (each for each in graph.listeners.values() if each.provisioning_status != status.PENDING_DELETE)
        guarded = [each.id for each in staying if each.allowed_cidrs]
        if guarded:
            raise errors.Invalid(reason=f"vip_sg_ids cannot be used with the allowed_cidrs of listener {guarded[0]}.")


def _check_source(load_balancer: LoadBalancer, deployment: Deployment) -> None:
    allowed = deployment.vip_sources
    given = [name for name in VIP_SOURCES if getattr(load_balancer, name)]
    if not given:
        raise errors.Invalid(reason=f"VIP must contain one of: {', '.join(allowed)}.")
    if given[0] not in allowed:
        raise errors.Invalid(reason=f"{given[0]} is disallowed in this deployment.")


def _check_network(network_id: str | None, deployment: Deployment) -> None:
    """The network as far as it is known: a subnet's or port's own is only when the port was made."""
    valid = deployment.vip_networks
    if network_id is not None and ((valid and network_id not in valid) or network_id in deployment.denied_vip_networks):
        raise errors.Invalid(reason=f"Virtual IPs are not allowed in network {network_id} in this deployment.")


def _check_additional(load_balancer: LoadBalancer) -> None:
    subnets = [each.subnet_id for each in load_balancer.additional_vips]
    if load_balancer.vip_subnet_id is not None:
        subnets.append(load_balancer.vip_subnet_id)
    if len(set(subnets)) < len(subnets):
        raise errors.Invalid(
            reason="duplicate subnet: each virtual IP of a load balancer must be in a subnet of its own."
        )


def check_delete(graph: LoadBalancerGraph, cascade: bool) -> None:
    """It has no children, or they go with it."""
    children = chain(graph.listeners.values(), graph.pools.values())
    if not cascade and any(child.provisioning_status != status.PENDING_DELETE for child in children):
        raise errors.Invalid(reason=f"Cannot delete Load Balancer {graph.load_balancer.id} - it has children")
