# SPDX-License-Identifier: Apache-2.0
"""What every network service and every book of addresses must do."""

import itertools
import threading
import uuid
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottava.cloud.network.base import AddressBook, NetworkService
from ottava.cloud.network.local import LocalNetwork
from ottava.cloud.network.memory import MemoryAddresses
from ottava.cloud.network.noop import NoopNetwork
from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import AdditionalVip, LoadBalancer
from ottava.model.member import Member

LINES = (
    "lan 198.18.0.0/24 fd00:0:0:77::/64",
    "tiny 198.18.1.0/29",
    "twin 198.18.0.0/24",
    "two 198.18.2.0/28 198.18.3.0/24",
    "six fd00:0:0:78::/64",
)


@pytest.fixture(params=["memory", "sqlite"])
def book(request, tmp_path) -> Iterator[AddressBook]:
    if request.param == "memory":
        yield MemoryAddresses()
        return
    from ottava.store import engine as engines
    from ottava.store.addresses import Addresses

    engine = engines.create_engine(f"sqlite:///{tmp_path}/ottava.sqlite")
    engines.upgrade(engine)
    yield Addresses(engine)
    engine.dispose()


@pytest.fixture
def network(book) -> NetworkService:
    return LocalNetwork(LINES, book, "tc")


def ident() -> str:
    return str(uuid.uuid4())


def net(network, name):
    return next(each for each in network.networks() if each.name == name)


def create(network, owner=None, **wish):
    return network.create_port(owner or ident(), "project", "a port", **wish)


def graph(owner: str, vip, *members: Member) -> LoadBalancerGraph:
    balancer = LoadBalancer(
        id=owner,
        project_id="project",
        created_at="2026-01-01T00:00:00.000000",
        vip_address=vip.address,
        vip_subnet_id=vip.subnet_id,
        vip_network_id=vip.network_id,
        vip_port_id=vip.port_id,
    )
    return LoadBalancerGraph(load_balancer=balancer, members={each.id: each for each in members})


def member(address: str, subnet_id: str | None = None, **more) -> Member:
    return Member(
        id=ident(), project_id="project", loadbalancer_id=ident(), pool_id=ident(), protocol_port=80,
        created_at="2026-01-01T00:00:00.000000", address=address, subnet_id=subnet_id, **more,
    )  # fmt: skip


class TestNames:
    def test_ids_follow_from_names_and_not_from_ranges(self, network):
        other = LocalNetwork(("lan 198.19.0.0/24 fd00:0:0:79::/64",), MemoryAddresses())
        assert net(other, "lan").id == net(network, "lan").id
        assert [each.id for each in net(other, "lan").subnets] == [each.id for each in net(network, "lan").subnets]
        assert [each.name for each in net(network, "lan").subnets] == ["lan-ipv4", "lan-ipv6"]
        assert [each.name for each in net(network, "two").subnets] == ["two-ipv4", "two-ipv4-2"]

    def test_a_bridge_name_carries_the_tag_and_fits_the_kernel(self, network):
        for each in network.networks():
            assert each.bridge == f"tc-b{each.id[:8]}"
            assert len(each.bridge) <= 15

    @pytest.mark.parametrize(
        "lines",
        [
            ("",), ("lan",), ("lan 198.18.0.1/24",), ("lan 198.18.0.0/31",), ("lan nonsense",),
            ("lan 198.18.0.0/24 198.18.0.128/25",), ("lan 198.18.0.0/24", "lan 198.18.1.0/24"),
        ],
    )  # fmt: skip
    def test_lines_that_make_no_sense_are_refused(self, lines):
        with pytest.raises(ValueError, match=r"local_network\.network"):
            LocalNetwork(lines, MemoryAddresses())


class TestCreatePort:
    def test_addresses_ascend_from_the_tenth(self, network):
        found = [create(network, network_id=net(network, "lan").id).address for _ in range(3)]
        assert found == ["198.18.0.10", "198.18.0.11", "198.18.0.12"]

    def test_asked_again_for_one_load_balancer_it_is_the_same_port(self, network):
        owner, lan = ident(), net(network, "lan").id
        first = create(network, owner, network_id=lan)
        assert create(network, owner, network_id=lan) == first
        assert create(network, network_id=lan).address != first.address

    def test_ipv4_is_preferred_and_ipv6_can_be_had_by_subnet(self, network):
        lan = net(network, "lan")
        assert create(network, network_id=lan.id).subnet_id == lan.subnets[0].id
        vip = create(network, subnet_id=lan.subnets[1].id)
        assert (vip.network_id, vip.address) == (lan.id, "fd00:0:0:77::a")

    def test_a_full_subnet_gives_way_to_the_next_and_then_there_is_none(self, network):
        tiny = net(network, "tiny").id
        found = [create(network, network_id=tiny).address for _ in range(5)]
        assert found == [f"198.18.1.{last}" for last in range(2, 7)]
        with pytest.raises(errors.Invalid):
            create(network, network_id=tiny)
        two = net(network, "two")
        places = [create(network, network_id=two.id).subnet_id for _ in range(14)]
        assert places == [two.subnets[0].id] * 13 + [two.subnets[1].id]

    def test_ranges_of_two_networks_stay_apart(self, network):
        wish = {"address": "198.18.0.77"}
        one = create(network, network_id=net(network, "lan").id, **wish)
        two = create(network, network_id=net(network, "twin").id, **wish)
        assert one.address == two.address
        assert one.network_id != two.network_id

    @pytest.mark.parametrize("asked", ["198.18.0.0", "198.18.0.1", "198.18.0.255", "198.18.1.5", "2001:db8::1"])
    def test_an_address_that_cannot_be_given(self, network, asked):
        with pytest.raises(errors.Invalid):
            create(network, network_id=net(network, "lan").id, address=asked)

    def test_an_address_is_found_in_its_subnet_and_normalised(self, network):
        lan = net(network, "lan")
        vip = create(network, network_id=lan.id, address="FD00:0:0:77:0::00AB")
        assert (vip.subnet_id, vip.address) == (lan.subnets[1].id, "fd00:0:0:77::ab")

    def test_an_address_that_is_taken(self, network):
        lan = net(network, "lan").id
        owner = ident()
        vip = create(network, owner, network_id=lan, address="198.18.0.5")
        assert create(network, owner, network_id=lan, address="198.18.0.5") == vip
        with pytest.raises(errors.Duplicate) as caught:
            create(network, network_id=lan, address="198.18.0.5")
        assert caught.value.facts["what"] == "vip"

    def test_what_does_not_exist(self, network):
        for wish, kind in (("network_id", "Network"), ("subnet_id", "Subnet"), ("port_id", "Port")):
            with pytest.raises(errors.BadReference) as caught:
                create(network, **{wish: ident()})
            assert caught.value.facts["kind"] == kind
        with pytest.raises(errors.BadReference) as caught:
            create(network, network_id=net(network, "lan").id, subnet_id=net(network, "six").subnets[0].id)
        assert caught.value.facts["kind"] == "Subnet"
        with pytest.raises(errors.Invalid):
            create(network)

    def test_a_port_wins_over_a_network(self, network, book):
        lan, port = net(network, "lan"), ident()
        book.take(lan.id, lan.subnets[0].id, port, "", iter(["198.18.0.200"]))
        vip = create(network, port_id=port, network_id=net(network, "six").id)
        assert (vip.port_id, vip.network_id, vip.address) == (port, lan.id, "198.18.0.200")

    def test_a_port_of_another_load_balancer(self, network):
        vip = create(network, network_id=net(network, "lan").id)
        with pytest.raises(errors.Invalid):
            create(network, port_id=vip.port_id)

    def test_a_port_with_two_addresses_needs_a_choice(self, network, book):
        lan, port = net(network, "lan"), ident()
        book.take(lan.id, lan.subnets[0].id, port, "", iter(["198.18.0.200"]))
        book.take(lan.id, lan.subnets[1].id, port, "", iter(["fd00:0:0:77::5"]))
        with pytest.raises(errors.Invalid):
            create(network, port_id=port)
        assert create(network, port_id=port, subnet_id=lan.subnets[1].id).address == "fd00:0:0:77::5"
        assert create(network, port_id=port, address="198.18.0.200").subnet_id == lan.subnets[0].id


class TestReleasePort:
    def test_a_released_address_is_given_again(self, network):
        owner, lan = ident(), net(network, "lan").id
        vip = create(network, owner, network_id=lan)
        network.release_port(vip.port_id, owner)
        network.release_port(vip.port_id, owner)
        assert create(network, network_id=lan).address == vip.address

    def test_a_port_that_a_user_made_stays(self, network, book):
        lan, port, owner = net(network, "lan"), ident(), ident()
        book.take(lan.id, lan.subnets[0].id, port, "", iter(["198.18.0.200"]))
        create(network, owner, port_id=port)
        network.release_port(port, owner)
        assert [each.address for each in book.of(port)] == ["198.18.0.200"]

    def test_nothing_of_another_load_balancer_is_released(self, network, book):
        lan = net(network, "lan").id
        mine, other = create(network, network_id=lan), create(network, network_id=lan)
        network.release_port(other.port_id, ident())
        assert book.of(mine.port_id)
        assert book.of(other.port_id)


class TestAdditionalVips:
    def test_they_are_on_the_same_port_in_the_order_asked_for(self, network, book):
        owner, two = ident(), net(network, "two")
        four, other = two.subnets
        vip = create(network, owner, subnet_id=four.id, additional=[AdditionalVip(other.id)])
        assert vip.additional == (AdditionalVip(other.id, "198.18.3.10", vip.port_id),)
        assert create(network, owner, subnet_id=four.id, additional=[AdditionalVip(other.id)]) == vip
        assert sorted(each.address for each in book.of(vip.port_id)) == sorted([vip.address, "198.18.3.10"])
        network.release_port(vip.port_id, owner)
        assert not book.of(vip.port_id)

    def test_an_address_is_the_one_asked_for_normalised(self, network):
        lan = net(network, "lan")
        wish = AdditionalVip(lan.subnets[1].id, "FD00:0:0:77:0::00AB")
        (more,) = create(network, subnet_id=lan.subnets[0].id, additional=[wish]).additional
        assert more.ip_address == "fd00:0:0:77::ab"

    def test_the_first_one_is_chosen_of_another_subnet(self, network):
        lan = net(network, "lan")
        vip = create(network, network_id=lan.id, additional=[AdditionalVip(lan.subnets[0].id)])
        assert (vip.subnet_id, vip.additional[0].ip_address) == (lan.subnets[1].id, "198.18.0.10")

    @pytest.mark.parametrize(
        ("place", "address", "error"),
        [
            ("nowhere", None, errors.BadReference),
            ("six", None, errors.Invalid),
            ("lan", "198.18.0.77", errors.Invalid),
            ("lan", "fd00:0:0:77::99", errors.Duplicate),
        ],
    )
    def test_what_cannot_be_given_leaves_nothing_behind(self, network, book, place, address, error):
        lan, owner = net(network, "lan"), ident()
        create(network, subnet_id=lan.subnets[1].id, address="fd00:0:0:77::99")
        subnet = ident() if place == "nowhere" else net(network, place).subnets[-1].id
        with pytest.raises(error):
            create(network, owner, subnet_id=lan.subnets[0].id, additional=[AdditionalVip(subnet, address)])
        assert not book.owned_by(owner)

    def test_a_port_given_must_have_them(self, network, book):
        lan, port = net(network, "lan"), ident()
        for subnet, address in zip(lan.subnets, ("198.18.0.200", "fd00:0:0:77::200"), strict=True):
            book.take(lan.id, subnet.id, port, "", iter([address]))
        first, second = lan.subnets
        for address in (None, "FD00:0:0:77::0200"):
            vip = create(network, port_id=port, subnet_id=first.id, additional=[AdditionalVip(second.id, address)])
            assert vip.additional == (AdditionalVip(second.id, "fd00:0:0:77::200", port),)
        for wish in (AdditionalVip(ident()), AdditionalVip(second.id, "fd00:0:0:77::201")):
            with pytest.raises(errors.Invalid):
                create(network, port_id=port, subnet_id=first.id, additional=[wish])

    def test_an_amphora_is_attached_with_all_of_them(self, network):
        owner, lan = ident(), net(network, "lan")
        vip = create(network, owner, subnet_id=lan.subnets[0].id, additional=[AdditionalVip(lan.subnets[1].id)])
        wish = graph(owner, vip)
        wish.load_balancer.additional_vips = vip.additional
        (port,) = network.ports(wish)
        assert port.addresses == ("198.18.0.10/24", "fd00:0:0:77::a/64")
        assert port.gateways == ("198.18.0.1", "fd00:0:0:77::1")

    def test_a_bridge_has_no_qos_and_no_security_groups(self, network):
        network.check_port(None, ())
        for policy, groups in ((ident(), ()), (None, (ident(),))):
            with pytest.raises(errors.Invalid):
                network.check_port(policy, groups)


class TestPorts:
    def test_the_port_of_the_vip(self, network):
        owner, lan = ident(), net(network, "lan")
        vip = create(network, owner, network_id=lan.id)
        (port,) = network.ports(graph(owner, vip))
        assert (port.network_id, port.port_id) == (lan.id, vip.port_id)
        assert port.addresses == ("198.18.0.10/24",)
        assert port.gateways == ("198.18.0.1",)
        assert port.bridge.name == lan.bridge
        assert port.bridge.addresses == ("198.18.0.1/24", "fd00:0:0:77::1/64")
        assert port.mac.startswith("02:")
        assert network.ports(graph(owner, vip)) == (port,)

    def test_macs_differ_between_load_balancers(self, network):
        macs = set()
        for _ in range(20):
            owner = ident()
            macs.add(network.ports(graph(owner, create(network, owner, network_id=net(network, "lan").id)))[0].mac)
        assert len(macs) == 20

    def test_members_in_other_places_bring_addresses_there(self, network, book):
        owner, lan, six = ident(), net(network, "lan"), net(network, "six")
        vip = create(network, owner, network_id=lan.id)
        wish = graph(
            owner, vip,
            member("198.18.0.20"),
            member("fd00:0:0:77::20"),
            member("fd00:0:0:78::20", six.subnets[0].id),
            member("198.18.1.3", net(network, "tiny").subnets[0].id, provisioning_status="PENDING_DELETE"),
        )  # fmt: skip
        first, second = network.ports(wish)
        assert first.addresses == ("198.18.0.10/24", "fd00:0:0:77::a/64")
        assert first.gateways == ("198.18.0.1", "fd00:0:0:77::1")
        assert second.network_id == six.id
        assert second.addresses == ("fd00:0:0:78::a/64",)
        assert second.gateways == ()
        assert network.ports(wish) == (first, second)
        network.release_port(vip.port_id, owner)
        assert not book.owned_by(owner)

    def test_subnet_exists(self, network):
        assert network.subnet_exists(net(network, "six").subnets[0].id)
        assert not network.subnet_exists(ident())


class TestAddressBook:
    def test_threads_never_get_one_address_twice(self, book):
        found: list[str] = []

        def take() -> None:
            for _ in range(10):
                candidates = (f"198.18.0.{number}" for number in itertools.count(10))
                found.append(book.take("net", "sub", ident(), ident(), candidates))

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted(f"198.18.0.{number}" for number in range(10, 50))

    def test_none_is_free(self, book):
        book.take("net", "sub", "port", "owner", iter(["198.18.0.9"]))
        with pytest.raises(errors.Duplicate):
            book.take("net", "sub", "other", "owner", iter(["198.18.0.9"]))
        assert book.take("net", "sub", "port", "owner", iter(["198.18.0.8"])) == "198.18.0.9"


@given(st.lists(st.tuples(st.sampled_from(["take", "ask", "release"]), st.integers(0, 7), st.integers(0, 9))))
@settings(deadline=None, max_examples=200)
def test_no_address_is_ever_held_twice(script):
    """Whatever is taken, asked for and given back in whatever order: each is held once, and only what may be given."""
    book = MemoryAddresses()
    network = LocalNetwork(("tiny 198.18.1.0/29",), book)
    tiny = network.networks()[0]
    held: dict[int, str] = {}
    for verb, owner, last in script:
        try:
            if verb == "release":
                network.release_port("any", str(owner))
                held.pop(owner, None)
                continue
            wish = {"address": f"198.18.1.{last}"} if verb == "ask" else {}
            vip = create(network, str(owner), network_id=tiny.id, **wish)
            assert held.setdefault(owner, vip.address) == vip.address
        except errors.Duplicate:
            assert f"198.18.1.{last}" in held.values() or owner in held
        except errors.Invalid:
            assert (last not in range(2, 7)) if verb == "ask" else len(held) == 5
        assert len(set(held.values())) == len(held)
        assert set(held.values()) <= {f"198.18.1.{number}" for number in range(2, 7)}


class TestNothing:
    """What of the contract holds where nothing is done."""

    network = NoopNetwork()

    def test_asked_again_for_one_load_balancer_it_is_the_same_port(self):
        owner, subnet = ident(), ident()
        first = create(self.network, owner, subnet_id=subnet)
        assert create(self.network, owner, subnet_id=subnet) == first
        assert create(self.network, subnet_id=subnet).port_id != first.port_id

    def test_what_is_unknown_is_taken_as_it_is(self):
        network_id, subnet_id, port_id = ident(), ident(), ident()
        assert self.network.subnet_exists(subnet_id)
        vip = create(self.network, network_id=network_id, subnet_id=subnet_id, port_id=port_id)
        assert (vip.network_id, vip.subnet_id, vip.port_id) == (network_id, subnet_id, port_id)
        assert (
            create(self.network, subnet_id=subnet_id).network_id == create(self.network, subnet_id=subnet_id).network_id
        )

    def test_an_address_is_in_a_range_for_benchmarks_or_the_one_asked_for(self):
        found = {create(self.network, subnet_id=ident()).address for _ in range(50)}
        assert all(ip_address(each) in ip_network("198.18.0.0/15") for each in found)
        assert create(self.network, port_id=ident(), address="FD00:0:0:77:0::00AB").address == "fd00:0:0:77::ab"

    def test_its_one_network_is_found_by_name_and_known(self):
        lan = net(self.network, "lan")
        for subnet in lan.subnets:
            vip = create(self.network, subnet_id=subnet.id)
            assert vip.network_id == lan.id
            assert ip_address(vip.address) in ip_network(subnet.cidr)
        assert create(self.network, network_id=lan.id).subnet_id == lan.subnets[0].id

    def test_additional_vips_are_on_the_same_port(self):
        lan = net(self.network, "lan")
        wish = [AdditionalVip(lan.subnets[1].id), AdditionalVip(ident(), "198.18.0.1")]
        vip = create(self.network, subnet_id=lan.subnets[0].id, additional=wish)
        first, second = vip.additional
        assert ip_address(first.ip_address) in ip_network(lan.subnets[1].cidr)
        assert (second.ip_address, first.port_id, second.port_id) == ("198.18.0.1", vip.port_id, vip.port_id)
        self.network.check_port(ident(), (ident(),))

    def test_something_must_be_asked_for_and_nothing_can_be_attached(self):
        with pytest.raises(errors.Invalid):
            create(self.network)
        vip = create(self.network, subnet_id=ident())
        self.network.release_port(vip.port_id, ident())
        with pytest.raises(errors.Unavailable):
            self.network.ports(graph(ident(), vip))
