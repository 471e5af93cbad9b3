# SPDX-License-Identifier: Apache-2.0
"""Networks of one machine: a Linux bridge each, named in the options, addresses handed out from the database.

The host has the first address of each subnet on the bridge; it is also the way out for amphorae.
"""

import hashlib
import ipaddress
import itertools
import random
import uuid
from collections.abc import Iterator, Sequence

import msgspec

from ottava.cloud.network.base import AddressBook, Network, Subnet, Taken, Vip
from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import AdditionalVip
from ottava.translate.ir import Port
from ottava.wire.desired import Bridge

NAMES = uuid.UUID("6b1c4d3e-52a5-5a0f-9c1f-0d9f7f0c7b11")
"""The name space of the ids: they follow from names alone, so they stay when a CIDR is edited."""

FIRST = 10
"""Addresses below this one are left to people, where the subnet is large enough."""

LOW, RANDOM = 16, 32
"""How many addresses are tried from the start of a subnet, and then at random."""

MTU = 1500

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class _Range(msgspec.Struct, frozen=True):
    """A subnet with its CIDR parsed."""

    subnet: Subnet
    cidr: IPNetwork

    def holds(self, address: IPAddress) -> bool:
        """Whether the address may be given to a port: not the network's, the broadcast's or the host's."""
        last = self.cidr.broadcast_address if self.cidr.version == 4 else None
        return address in self.cidr and address not in (self.cidr.network_address, self.cidr[1], last)

    def candidates(self) -> Iterator[str]:
        """The addresses to hand out, in the order in which they are tried, made one by one: a subnet may be huge.

        The lowest ones first, then some at random, so that where thousands are taken nobody walks past them all; all
        in the end.
        """
        first = FIRST if self.cidr.num_addresses >= 4 * FIRST else 2
        # Plain numbers: a subnet that is nearly full is walked to its end, and indexing a network takes 10 us a step.
        make, base = type(self.cidr.network_address), int(self.cidr.network_address)
        start, end = base + first, base + self.cidr.num_addresses - (1 if self.cidr.version == 4 else 0)
        low = min(start + LOW, end)
        some = (random.randrange(low, end) for _ in range(RANDOM if low < end else 0))  # noqa: S311 - no secret
        rest = itertools.takewhile(lambda number: number < end, itertools.count(low))  # range() has a largest number
        for number in itertools.chain(range(start, low), some, rest):
            yield str(make(number))

    def with_prefix(self, address: str) -> str:
        return f"{address}/{self.cidr.prefixlen}"


class LocalNetwork:
    """The networks named in the options; see base.NetworkService."""

    def __init__(self, lines: Sequence[str], book: AddressBook, tag: str = "ot") -> None:
        """`lines`: "NAME CIDR [CIDR...]" each. Raises ValueError, in words, for lines that make no sense."""
        self._book = book
        self._networks = tuple(_network(line, tag) for line in lines)
        if len({network.name for network in self._networks}) < len(self._networks):
            raise ValueError("two lines of local_network.network have the same name")
        self._ranges = {
            subnet.id: _Range(subnet, ipaddress.ip_network(subnet.cidr))
            for network in self._networks
            for subnet in network.subnets
        }

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
        """See base.NetworkService."""
        if port_id is not None:
            vip = self._given(port_id, loadbalancer_id, subnet_id, address)
            return msgspec.structs.replace(vip, additional=tuple(_on_port(self._book.of(port_id), additional)))
        apart = {each.subnet_id for each in additional}
        ranges = [each for each in self._eligible(network_id, subnet_id) if each.subnet.id not in apart]
        others = self._eligible_too(ranges, additional)
        vip = self._first_of(loadbalancer_id, ranges, address)
        try:
            more = [self._first_of(loadbalancer_id, [place], wish.ip_address) for place, wish in others]
        except errors.Refused:
            self._book.release(vip.port_id)
            raise
        return msgspec.structs.replace(
            vip, additional=tuple(AdditionalVip(each.subnet_id, each.address, each.port_id) for each in more)
        )

    def check_port(self, qos_policy_id: str | None, security_group_ids: Sequence[str]) -> None:
        """See base.NetworkService; a bridge has neither."""
        if qos_policy_id is not None:
            raise errors.Invalid(
                reason="vip_qos_policy_id is not allowed in this deployment: its networks have no QoS."
            )
        if security_group_ids:
            raise errors.Invalid(
                reason="vip_sg_ids is not allowed in this deployment: its networks have no security groups; "
                "allowed_cidrs of listeners say who may connect."
            )

    def release_port(self, port_id: str, loadbalancer_id: str) -> None:
        """See base.NetworkService."""
        for each in {taken.port_id for taken in self._book.owned_by(loadbalancer_id)}:
            self._book.release(each)

    def ports(self, graph: LoadBalancerGraph) -> tuple[Port, ...]:
        """See base.NetworkService; takes addresses that are wanted and missing."""
        balancer = graph.load_balancer
        vip = self._ranges.get(balancer.vip_subnet_id or "")
        if vip is None:
            raise errors.BadReference(kind="Subnet", id=balancer.vip_subnet_id)
        more = [self._ranges[each.subnet_id] for each in balancer.additional_vips if each.subnet_id in self._ranges]
        wanted: dict[str, list[_Range]] = {vip.subnet.network_id: [vip, *more]}
        for each in self._reached(graph, vip):
            ranges = wanted.setdefault(each.subnet.network_id, [])
            if each not in ranges:
                ranges.append(each)
        led: set[int] = set()
        return tuple(self._port(graph, ranges, led) for ranges in wanted.values())

    def subnet_exists(self, subnet_id: str) -> bool:
        """See base.NetworkService."""
        return subnet_id in self._ranges

    def networks(self) -> tuple[Network, ...]:
        """See base.NetworkService."""
        return self._networks

    def _given(self, port_id: str, owner: str, subnet_id: str | None, address: str | None) -> Vip:
        """A port that exists already, taken as it is."""
        taken = [each for each in self._book.of(port_id) if each.subnet_id in self._ranges]
        if not taken:
            raise errors.BadReference(kind="Port", id=port_id)
        if any(each.owner not in ("", owner) for each in taken):
            raise errors.Invalid(reason=f"Port {port_id} is already used.")
        if address is not None:
            taken = [each for each in taken if ipaddress.ip_address(each.address) == ipaddress.ip_address(address)]
        elif subnet_id is not None:
            taken = [each for each in taken if each.subnet_id == subnet_id]
        elif len(taken) > 1:
            taken = []
        if not taken:
            raise errors.Invalid(reason="The subnet of the virtual IP could not be determined from the port.")
        return Vip(port_id, taken[0].network_id, taken[0].subnet_id, taken[0].address)

    def _eligible(self, network_id: str | None, subnet_id: str | None) -> list[_Range]:
        """The subnets that a virtual IP may come from, the preferred one first."""
        if network_id is None and subnet_id is None:
            raise errors.Invalid(reason="VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
        ranges = list(self._ranges.values())
        if network_id is not None:
            ranges = [each for each in ranges if each.subnet.network_id == network_id]
            if not ranges:
                raise errors.BadReference(kind="Network", id=network_id)
        if subnet_id is not None:
            ranges = [each for each in ranges if each.subnet.id == subnet_id]
            if not ranges:
                raise errors.BadReference(kind="Subnet", id=subnet_id)
        return sorted(ranges, key=lambda each: each.cidr.version)

    def _eligible_too(
        self, ranges: list[_Range], additional: Sequence[AdditionalVip]
    ) -> list[tuple[_Range, AdditionalVip]]:
        """The subnets of the additional virtual IPs. Raises BadReference, Invalid."""
        found = []
        for wish in additional:
            place = self._ranges.get(wish.subnet_id)
            if place is None:
                raise errors.BadReference(kind="Subnet", id=wish.subnet_id)
            if any(place.subnet.network_id != each.subnet.network_id for each in ranges):
                raise errors.Invalid(reason=f"Subnet {wish.subnet_id} is not in the network of the virtual IP.")
            found.append((place, wish))
        return found

    def _first_of(self, owner: str, ranges: list[_Range], address: str | None) -> Vip:
        """A port with the address that was asked for, or the first free one."""
        if address is not None:
            return self._asked(owner, ranges, ipaddress.ip_address(address))
        for each in ranges:
            try:
                return self._take(owner, each, each.candidates())
            except errors.Duplicate:
                continue
        raise errors.Invalid(reason="No address is free in the subnet of the virtual IP.")

    def _asked(self, owner: str, ranges: list[_Range], address: IPAddress) -> Vip:
        """A port with the very address that was asked for."""
        for each in ranges:
            if each.holds(address):
                vip = self._take(owner, each, iter((str(address),)))
                if ipaddress.ip_address(vip.address) != address:
                    break
                return vip
        else:
            raise errors.Invalid(reason=f"The address {address} cannot be given from the subnet of the virtual IP.")
        raise errors.Duplicate(what="vip", address=str(address))

    def _take(self, owner: str, place: _Range, candidates: Iterator[str]) -> Vip:
        subnet = place.subnet
        port_id = _port_id(owner, subnet.network_id)
        address = self._book.take(subnet.network_id, subnet.id, port_id, owner, candidates)
        return Vip(port_id, subnet.network_id, subnet.id, address)

    def _reached(self, graph: LoadBalancerGraph, vip: _Range) -> Iterator[_Range]:
        """The subnets from which members are reached: the one that each names, or one of the VIP's network of the
        member's family."""
        for member in graph.members.values():
            if member.provisioning_status == status.PENDING_DELETE:
                continue
            named = self._ranges.get(member.subnet_id or "")
            if named:
                yield named
            elif ipaddress.ip_address(member.address).version != vip.cidr.version:
                network_id = vip.subnet.network_id
                family = [each for each in self._ranges.values() if each.subnet.network_id == network_id]
                yield from [each for each in family if each.cidr.version != vip.cidr.version][:1]

    def _port(self, graph: LoadBalancerGraph, ranges: list[_Range], led: set[int]) -> Port:
        """The port in the network of `ranges`; `led` are the families that have a way out already."""
        balancer = graph.load_balancer
        network = next(each for each in self._networks if each.id == ranges[0].subnet.network_id)
        port_id = _port_id(balancer.id, network.id)
        held = {balancer.vip_subnet_id or "": balancer.vip_address or ""}
        if any(each.subnet.id not in held for each in ranges):
            held = {taken.subnet_id: taken.address for taken in self._book.of(port_id)} | held
        addresses, gateways = [], []
        for each in ranges:
            address = held.get(each.subnet.id) or self._take(balancer.id, each, each.candidates()).address
            addresses.append(each.with_prefix(address))
            if each.cidr.version not in led:
                led.add(each.cidr.version)
                gateways.append(each.subnet.gateway)
        on_vip = network.id == balancer.vip_network_id and balancer.vip_port_id
        return Port(
            network_id=network.id,
            port_id=balancer.vip_port_id if on_vip and balancer.vip_port_id else port_id,
            mac=_mac(port_id),
            addresses=tuple(addresses),
            gateways=tuple(gateways),
            bridge=Bridge(
                network.bridge,
                tuple(self._ranges[subnet.id].with_prefix(subnet.gateway) for subnet in network.subnets),
                MTU,
            ),
            mtu=MTU,
        )


def _network(line: str, tag: str) -> Network:
    """The network that a line of the options describes."""
    name, *texts = line.split() or [""]
    if not texts:
        raise ValueError(f"local_network.network: a line is NAME CIDR [CIDR...], not {line!r}")
    network_id = str(uuid.uuid5(NAMES, f"network {name}"))
    cidrs: list[IPNetwork] = []
    for text in texts:
        try:
            cidr = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"local_network.network: {name}: {error}") from None
        if cidr.num_addresses < 4:
            raise ValueError(f"local_network.network: {cidr} of {name} is too small")
        if any(cidr.version == other.version and cidr.overlaps(other) for other in cidrs):
            raise ValueError(f"local_network.network: {cidr} of {name} overlaps another subnet of it")
        cidrs.append(cidr)
    subnets = []
    for index, cidr in enumerate(cidrs):
        # The first of a family carries no number, so that adding a second one changes no id.
        rank = sum(other.version == cidr.version for other in cidrs[: index + 1])
        label = f"{name}-ipv{cidr.version}" + (f"-{rank}" if rank > 1 else "")
        subnet_id = str(uuid.uuid5(NAMES, f"subnet {label}"))
        subnets.append(Subnet(subnet_id, label, network_id, str(cidr), str(cidr[1])))
    return Network(network_id, name, f"{tag}-b{network_id[:8]}", tuple(subnets))


def _on_port(taken: Sequence[Taken], additional: Sequence[AdditionalVip]) -> Iterator[AdditionalVip]:
    """Additional virtual IPs that a user's port has already. Raises Invalid for others."""
    for wish in additional:
        asked = ipaddress.ip_address(wish.ip_address) if wish.ip_address else None
        held = next(
            (
                each
                for each in taken
                if each.subnet_id == wish.subnet_id and asked in (None, ipaddress.ip_address(each.address))
            ),
            None,
        )
        if held is None:
            raise errors.Invalid(reason=f"The port has no such address in subnet {wish.subnet_id}.")
        yield AdditionalVip(held.subnet_id, held.address, held.port_id)


def _port_id(owner: str, network_id: str) -> str:
    """The id of the port of a load balancer in a network: always the same one, so that asking twice makes one port."""
    return str(uuid.uuid5(NAMES, f"port {owner} {network_id}"))


def _mac(port_id: str) -> str:
    """The MAC of a port, locally administered; it follows from the id, so neighbours need never learn again."""
    return ":".join(["02", *(f"{byte:02x}" for byte in hashlib.sha256(port_id.encode()).digest()[:5])])
