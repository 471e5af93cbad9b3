# SPDX-License-Identifier: Apache-2.0
"""What Ottava asks of a network service: ports that hold virtual IPs, and where amphorae are attached.

Every implementation passes tests/contract/test_cloud_network.py.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import AdditionalVip
from ottava.translate.ir import Port


class Vip(msgspec.Struct, frozen=True):
    """A port that holds a virtual IP. address is normalised, without prefix length.

    additional: the other virtual IPs on the port, in the order in which they were asked for.
    """

    port_id: str
    network_id: str
    subnet_id: str
    address: str
    additional: tuple[AdditionalVip, ...] = ()


class Subnet(msgspec.Struct, frozen=True):
    """A range of addresses of a network. gateway: the address that leads out of it."""

    id: str
    name: str
    network_id: str
    cidr: str
    gateway: str


class Network(msgspec.Struct, frozen=True):
    """A network, for people."""

    id: str
    name: str
    bridge: str
    subnets: tuple[Subnet, ...]


class Taken(Protocol):
    """An address in the book: which port holds it, and on whose behalf (a load balancer's id)."""

    @property
    def network_id(self) -> str: ...
    @property
    def subnet_id(self) -> str: ...
    @property
    def port_id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def address(self) -> str: ...


class AddressBook(Protocol):
    """Which addresses are taken. An address is taken at most once in its network and subnet."""

    def take(self, network_id: str, subnet_id: str, port_id: str, owner: str, candidates: Iterable[str]) -> str:
        """The first free one of `candidates`, from now on the port's; the one that the port has there already, if any.

        Raises errors.Duplicate(what="vip") when none is free.
        """

    def release(self, port_id: str) -> object:
        """Give all addresses of the port back; nothing happens when it has none."""

    def of(self, port_id: str) -> Sequence[Taken]:
        """The addresses of a port."""

    def owned_by(self, owner: str) -> Sequence[Taken]:
        """The addresses taken on behalf of `owner`."""


class NetworkService(Protocol):
    """Where ports come from."""

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
        """A port for the load balancer's virtual IP; asked again for the same load balancer, the same port.

        A port given wins over a network, a network over a subnet; IPv4 is preferred where both are to be had.
        `additional` are more virtual IPs on the same port, each of a subnet of its own in the same network.
        Raises errors.Invalid (none of the three is given, an address that is not in the subnet, a port in use, no
        address is free, a subnet twice or of another network), errors.BadReference (kind Port, Network or Subnet), errors.Duplicate (what="vip").
        """

    def check_port(self, qos_policy_id: str | None, security_group_ids: Sequence[str]) -> None:
        """Refuse a QoS policy or security groups that a port cannot have.

        Raises errors.Invalid where there is nothing of the kind at all, errors.BadReference (kind qos_policy or
        Security Group).
        """

    def release_port(self, port_id: str, loadbalancer_id: str) -> None:
        """Give back every port that was made for the load balancer; one that a user made stays."""

    def ports(self, graph: LoadBalancerGraph) -> tuple[Port, ...]:
        """Where an amphora of the load balancer is attached: the port of the VIP first, then one for each other
        network in which it has members."""

    def subnet_exists(self, subnet_id: str) -> bool:
        """Whether members may be reached from this subnet."""

    def networks(self) -> tuple[Network, ...]:
        """All networks, for people."""
