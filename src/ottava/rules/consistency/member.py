# SPDX-License-Identifier: Apache-2.0
"""What must hold of a member."""

import ipaddress

import msgspec

from ottava.model import errors, scalars, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.rules.consistency.surroundings import others, referred
from ottava.rules.deployment import Deployment


def complete(graph: LoadBalancerGraph, member: Member) -> Member:
    """A new member waits for its first check if there is a monitor, and is known to have none otherwise; the kind of its
    port is the one asked for, where the flavor lets it."""
    if member.id in graph.members:
        return member
    monitor = graph.healthmonitor_of(member.pool_id)
    monitored = monitor is not None and monitor.provisioning_status != status.PENDING_DELETE
    direct = member.request_sriov and graph.load_balancer.allow_member_sriov
    return msgspec.structs.replace(
        member,
        operating_status=status.OFFLINE if monitored else status.NO_MONITOR,
        vnic_type="direct" if direct else "normal",
    )


def check(graph: LoadBalancerGraph, member: Member, deployment: Deployment) -> None:
    """Its addresses are such that a proxy can connect to them, and its pool has no other with the same."""
    referred(graph.pools, Pool, member.pool_id)
    _check_address(member.address, "member address", deployment)
    if member.monitor_address is not None:
        _check_address(member.monitor_address, "member monitor_address", deployment)
    for other in others(graph.members, member):
        if (other.protocol_port, other.address, other.pool_id) == (
            member.protocol_port, member.address, member.pool_id,
        ):  # fmt: skip
            raise errors.Duplicate(what="member", address=member.address, protocol_port=member.protocol_port)
    if member.request_sriov and member.vnic_type != "direct":
        raise errors.NoDirectPorts()


def _check_address(text: str, option: str, deployment: Deployment) -> None:
    address = scalars.address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    # HAProxy takes the unspecified address for "wherever the client wanted to go", which is the proxy itself.
    reserved = map(scalars.address, deployment.reserved_ips)  # where clouds answer what only a machine itself may ask
    if address in reserved or address.is_unspecified or address.is_multicast:
        raise errors.BadOption(value=text, option=option)
