# SPDX-License-Identifier: Apache-2.0
"""Interfaces and bridges: traffic flows over them, a second look changes nothing, whatever is broken is mended."""

import select
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from ottava.agent import links, namespaces
from ottava.wire.desired import Bridge


def test_traffic_reaches_an_amphora_over_both_families(stage, ask):
    stage.serve("one")
    assert ask(stage.v4(5)) == "one"
    assert ask(stage.v6(5)) == "one"


def test_a_second_look_changes_nothing(stage):
    amphora = stage.amphora("one")
    assert links.ensure_bridge(amphora.interface.bridge)
    assert stage.plug(amphora)
    assert links.ensure_bridge(amphora.interface.bridge) == []
    assert stage.plug(amphora) == []


BREAKAGES = {
    "the host's end deleted": "ip link del {end}",
    "the host's end down": "ip link set {end} down",
    "off its bridge": "ip link set {end} nomaster",
    "another MTU on the host's end": "ip link set {end} mtu 1400",
    "on the wrong bridge": "ip link add {tag}-b000000ff type bridge ; ip link set {end} master {tag}-b000000ff",
    "the bridge deleted": "ip link del {bridge}",
    "the bridge down": "ip link set {bridge} down",
    "the bridge's address deleted": "ip addr flush dev {bridge}",
    "the bridge's routes deleted": "ip route flush dev {bridge} ; ip -6 route flush dev {bridge} proto static",
    "the inner end deleted": "ip -n {namespace} link del net0",
    "the inner end down": "ip -n {namespace} link set net0 down",
    "another MAC": "ip -n {namespace} link set net0 address 02:00:00:00:00:99",
    "another MTU inside": "ip -n {namespace} link set net0 mtu 1400",
    "addresses gone": "ip -n {namespace} addr flush dev net0",
    "a stray address": "ip -n {namespace} addr add 198.51.100.7/24 dev net0",
    "default routes gone": "ip -n {namespace} route flush default ; ip -n {namespace} -6 route flush default",
    "a wrong default route": "ip -n {namespace} route replace default via {other} dev net0 proto static metric 100",
    "the loopback down": "ip -n {namespace} link set lo down",
}


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_what_is_broken_is_mended(stage, ask, ip, breakage):
    amphora, _pid = stage.serve("one")
    before = _state(ip, amphora)
    names = {
        "end": links.host_end(stage.tag, amphora.namespace, "net0"),
        "bridge": amphora.interface.bridge.name,
        "namespace": amphora.namespace,
        "tag": stage.tag,
        "other": stage.v4(9),
    }
    for command in breakage.format(**names).split(" ; "):
        subprocess.run(command.split(), check=True)
    assert links.ensure_bridge(amphora.interface.bridge) + stage.plug(amphora), "nothing was noticed"
    assert ask(stage.v4(5)) == "one"
    assert ask(stage.v6(5)) == "one"
    assert _state(ip, amphora) == before
    assert links.ensure_bridge(amphora.interface.bridge) + stage.plug(amphora) == []


def _state(ip, amphora) -> dict[str, object]:
    """Addresses and routes inside and on the bridge, without what changes when a device is made anew."""
    bridge, inner = amphora.interface.bridge.name, ("-n", amphora.namespace)
    found = {}
    for where in ((), inner):
        device = "net0" if where else bridge
        for address in msgspec.json.decode(ip(*where, "-j", "addr", "show", "dev", device)):
            found[device] = (
                address["address"],
                address["mtu"],
                address["operstate"],
                sorted(
                    f"{each['local']}/{each['prefixlen']}" for each in address["addr_info"] if each["scope"] == "global"
                ),
            )
        for family in ("-4", "-6"):
            routes = msgspec.json.decode(ip(*where, "-j", family, "route", "show", "dev", device) or "[]")
            found[device, family] = sorted(
                f"{each['dst']} {each.get('gateway')}" for each in routes if each["dst"] != "fe80::/64"
            )
    return found


def test_another_address_replaces_the_old_one(stage, ask):
    amphora, _pid = stage.serve("one", last=5)
    moved = msgspec.structs.replace(amphora.interface, addresses=(f"{stage.v4(6)}/24",))
    links.ensure_interface(stage.tag, amphora.namespace, moved)
    assert ask(stage.v4(6)) == "one"
    with pytest.raises(OSError, match=r"No route|timed out"):
        ask(stage.v4(5))


def test_one_network_on_two_bridges_stays_apart(stage, ask):
    first, second = stage.bridge(1), stage.bridge(2)
    stage.serve("left", bridge=first)
    stage.serve("right", bridge=second)
    assert links.ensure_bridge(first) + links.ensure_bridge(second) == []
    for address in (stage.v4(5), stage.v6(5)):
        assert ask(address, device=first.name) == "left"
        assert ask(address, device=second.name) == "right"
        assert ask(address, device=first.name) == "left"


def test_a_moved_address_is_announced_to_the_neighbours(stage, ask, ip):
    stage.plug(stage.amphora("bystander", last=9))  # a bridge without any port forgets its neighbours
    old, _pid = stage.serve("old")
    assert (ask(stage.v4(5)), ask(stage.v6(5))) == ("old", "old")
    links.prune_interfaces(old.namespace, set())
    new, _pid = stage.serve("new")
    assert new.interface.mac != old.interface.mac
    links.announce(new.namespace, new.interface)
    bridge = new.interface.bridge.name
    for address in (stage.v4(5), stage.v6(5)):
        assert _eventually(lambda address=address: new.interface.mac in ip("neigh", "show", address, "dev", bridge))
        assert ask(address) == "new"


def _eventually(holds) -> bool:
    deadline = time.monotonic() + 5
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_bridge_is_removed_only_without_ports(stage, ask):
    amphora, _pid = stage.serve("one")
    name = amphora.interface.bridge.name
    assert links.remove_bridge(name) is False
    assert ask(stage.v4(5)) == "one"
    assert links.prune_interfaces(amphora.namespace, {"net0"}) == []
    assert links.prune_interfaces(amphora.namespace, set()) == ["removed interface net0"]
    assert links.remove_bridge(name) is True
    assert links.remove_bridge(name) is False


def test_a_foreign_device_by_the_bridges_name_is_left_alone(stage, ip):
    name = f"{stage.tag}-b0000000e"
    ip("link", "add", name, "type", "veth", "peer", "name", f"{stage.tag}-v0000000e")
    with pytest.raises(OSError, match="no bridge"):
        links.ensure_bridge(Bridge(name, ()))
    assert "veth" in ip("-d", "link", "show", name)


def test_a_deletion_by_hand_is_heard(stage, ip):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    end = links.host_end(stage.tag, amphora.namespace, "net0")
    heard = links.changes()
    try:
        for name in (end, amphora.interface.bridge.name):
            ip("link", "del", name)
            found = set()
            while name not in found and select.select([heard], [], [], 5)[0]:
                found |= {change.name for change in heard.read() if change.what == "link"}
            assert name in found
        heard.read()  # never blocks, whatever else goes on here
    finally:
        heard.close()


def test_inside_nothing_is_learnt_from_router_advertisements(stage):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    with namespaces.inside(amphora.namespace):
        setting = Path("/proc/sys/net/ipv6/conf/net0")
        assert (setting / "accept_ra").read_text().strip() == "0"
        assert (setting / "forwarding").read_text().strip() == "0"


def test_two_interfaces_prefer_the_gateway_of_the_first(stage, ip):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    second = msgspec.structs.replace(
        amphora.interface,
        name="net1",
        mac="02:00:00:01:00:01",
        bridge=Bridge(f"{stage.tag}-b00000009", ("198.18.47.1/24",)),
        addresses=("198.18.47.5/24",),
        gateways=("198.18.47.1",),
    )
    links.ensure_interface(stage.tag, amphora.namespace, second)
    assert "dev net0" in ip("-n", amphora.namespace, "route", "get", "192.0.2.200")
    assert links.ensure_interface(stage.tag, amphora.namespace, second) == []
    assert stage.plug(amphora) == []
