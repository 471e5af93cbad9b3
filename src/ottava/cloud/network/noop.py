# SPDX-License-Identifier: Apache-2.0
"""The network service that does nothing, for tests of clients: whatever is asked for exists, and nothing is kept.

An address that nobody asked for follows from the load balancer's id, so that it is the same whenever it is asked for
again. It is out of the ranges for benchmarks; with very many load balancers two may have the same one.
"""

import hashlib
import ipaddress
import uuid
from collections.abc import Sequence

from ottava.cloud.network.base import Network, Subnet, Vip
from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import AdditionalVip
from ottava.translate.ir import Port

NAMES = uuid.UUID("5d2b3c1e-8f0a-4f57-9a43-0c7d3d3b6a11")
RANGES = {4: ipaddress.ip_network("198.18.0.0/15"), 6: ipaddress.ip_network("2001:db8:77::/64")}


class NoopNetwork:
    """See base.NetworkService."""

    def create_port(
        self,
        loadbalancer_id: str,
        project_id: str,
        name: str,
        *,
        network_id: str | None = None,
        subnet_id: str | None = None,
        port_id: str | None = None,
        address: str | None = None,
        additional: Sequence[AdditionalVip] = (),
    ) -> Vip:
        """See base.NetworkService; nothing is unknown, taken or used up."""
        place = subnet_id or network_id or port_id
        if place is None:
            raise errors.Invalid(reason="VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
        known = _subnet(subnet_id)
        if network_id is None:
            network_id = known.network_id if known.id == subnet_id else _id(f"network of {place}")
        if subnet_id is None:
            subnet_id = known.id if network_id == known.network_id else _id(f"subnet of {network_id}")
        port_id = port_id or _id(f"port {loadbalancer_id} {subnet_id}")
        wanted = ipaddress.ip_address(address) if address else _address(known, port_id)
        more = tuple(_additional(each, port_id) for each in additional)
        return Vip(port_id, network_id, subnet_id, str(wanted), more)

    def check_port(self, qos_policy_id: str | None, security_group_ids: Sequence[str]) -> None:
        """See base.NetworkService; every one exists."""

    def release_port(self, port_id: str, loadbalancer_id: str) -> None:
        """See base.NetworkService."""

    def ports(self, graph: LoadBalancerGraph) -> tuple[Port, ...]:
        """See base.NetworkService; nothing can be attached here. Raises Unavailable."""
        raise errors.Unavailable(reason="[network] driver noop attaches nothing; only the API can be run with it")

    def subnet_exists(self, subnet_id: str) -> bool:
        """See base.NetworkService."""
        return True

    def networks(self) -> tuple[Network, ...]:
        """See base.NetworkService; one to be found by its name, besides all those that are found by any id."""
        return (NETWORK,)


def _additional(wish: AdditionalVip, port_id: str) -> AdditionalVip:
    free = _address(_subnet(wish.subnet_id), f"{port_id} {wish.subnet_id}")
    address = ipaddress.ip_address(wish.ip_address) if wish.ip_address else free
    return AdditionalVip(wish.subnet_id, str(address), port_id)


def _subnet(subnet_id: str | None) -> Subnet:
    """The subnet whose range an address comes from."""
    return next((each for each in NETWORK.subnets if each.id == subnet_id), NETWORK.subnets[0])


def _id(text: str) -> str:
    return str(uuid.uuid5(NAMES, text))


def _address(subnet: Subnet, seed: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """One that follows from the seed, and is neither the first two nor the last of the subnet."""
    cidr = ipaddress.ip_network(subnet.cidr)
    number = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")
    return cidr[2 + number % (cidr.num_addresses - 3)]


def _network(name: str) -> Network:
    id = _id(f"network {name}")
    subnets = tuple(
        Subnet(_id(f"subnet {name} {version}"), f"{name}-ipv{version}", id, str(cidr), str(cidr[1]))
        for version, cidr in RANGES.items()
    )
    return Network(id, name, "", subnets)


NETWORK = _network("lan")
