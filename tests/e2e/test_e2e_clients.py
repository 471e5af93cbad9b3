# SPDX-License-Identifier: Apache-2.0
"""The clients that people have: openstacksdk and the `openstack` command, both unmodified."""

import json
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest
from openstack import exceptions
from support.load import who
from support.machine import ADMIN, Machine, eventually
from support.members import Members

ALICE = ("alice", "also-no-secret")


def test_the_sdk_makes_a_load_balancer_that_serves(ottava: Machine, members: Members) -> None:
    web = members("web")
    cloud = ottava.sdk().load_balancer
    balancer = cloud.create_load_balancer(name="by-sdk", vip_subnet_id=ottava.subnet())
    listener = cloud.create_listener(name="http", protocol="HTTP", protocol_port=80, load_balancer_id=balancer.id)
    pool = cloud.create_pool(name="pool", protocol="HTTP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id)
    member = cloud.create_member(pool, name="web", address=web.address, protocol_port=web.port)
    balancer = cloud.wait_for_load_balancer(balancer.id, interval=0.2, wait=60)
    eventually(lambda: who(balancer.vip_address)["web"] == 1)
    assert [each.id for each in cloud.members(pool)] == [member.id]
    assert cloud.find_load_balancer("by-sdk").id == balancer.id
    cloud.update_load_balancer(balancer, description="changed")
    assert cloud.get_load_balancer(balancer.id).description == "changed"
    cloud.delete_load_balancer(balancer, cascade=True)
    ottava.gone(balancer.id)
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_load_balancer(balancer.id)


def _json(ottava: Machine, *words: str, user: tuple[str, str] | None = None) -> Any:
    return json.loads(ottava.openstack(*words, "-f", "json", user=user))


def test_the_openstack_command_without_authentication(ottava: Machine, members: Members) -> None:
    web = members("web")
    made = _json(ottava, "create", "--name", "by-cli", "--vip-subnet-id", ottava.subnet(), "--wait")
    assert made["provisioning_status"] == "ACTIVE"
    ottava.openstack("listener", "create", "--name", "l", "--protocol", "HTTP", "--protocol-port", "80", "by-cli")
    ottava.openstack(
        "pool", "create", "--name", "p", "--protocol", "HTTP", "--lb-algorithm", "ROUND_ROBIN", "--listener", "l"
    )
    ottava.openstack(
        "member", "create", "--name", "web", "--address", web.address, "--protocol-port", str(web.port), "--wait", "p"
    )
    assert who(made["vip_address"]) == {"web": 1}
    assert [each["name"] for each in _json(ottava, "list")] == ["by-cli"]
    status = json.loads(ottava.openstack("status", "show", "by-cli"))
    assert status["loadbalancer"]["listeners"][0]["pools"][0]["members"][0]["name"] == "web"
    assert "total_connections" in _json(ottava, "stats", "show", "by-cli")
    ottava.openstack("member", "set", "--weight", "7", "p", "web")
    assert _json(ottava, "member", "show", "p", "web")["weight"] == 7
    ottava.openstack("delete", "--cascade", "--wait", "by-cli")
    assert _json(ottava, "list") == []


def test_names_of_networks_and_subnets_are_found(ottava: Machine) -> None:
    names = {each.name: each.id for each in ottava.sdk().network.subnets()}
    assert names == {"lan-ipv4": ottava.subnet(4), "lan-ipv6": ottava.subnet(6)}
    made = _json(ottava, "create", "--name", "by-names", "--vip-subnet-id", "lan-ipv6", "--wait")
    assert made["vip_subnet_id"] == ottava.subnet(6)
    ottava.openstack("delete", "--cascade", "--wait", "by-names")
    made = _json(ottava, "create", "--name", "by-network", "--vip-network-id", "lan", "--wait")
    assert made["vip_subnet_id"] == ottava.subnet(4)
    ottava.openstack("delete", "--cascade", "--wait", "by-network")


def _line(user: tuple[str, str], project: str, roles: str) -> str:
    return f"{user[0]}:{bcrypt.hashpw(user[1].encode(), bcrypt.gensalt(4)).decode()}:{project}:{roles}\n"


def test_http_basic_says_who_may_see_what(machine: Callable[..., Machine]) -> None:
    own = machine({"api": {"auth_strategy": "http_basic"}})
    own.state.mkdir(mode=0o700)
    users = own.state / "users"
    users.touch(mode=0o600)
    users.write_text(_line(ADMIN, "a" * 32, "admin") + _line(ALICE, "b" * 32, "member"))
    own.up()
    made = _json(own, "create", "--name", "of-alice", "--vip-subnet-id", own.subnet(), "--wait", user=ALICE)
    assert made["project_id"] == "b" * 32
    own.openstack("create", "--name", "of-admin", "--vip-subnet-id", own.subnet(), "--wait", user=ADMIN)
    assert {each["name"] for each in _json(own, "list", user=ALICE)} == {"of-alice"}
    assert {each["name"] for each in _json(own, "list", user=ADMIN)} == {"of-alice", "of-admin"}
    assert [each.name for each in own.sdk(ALICE).load_balancer.load_balancers()] == ["of-alice"]
    for user in ((ALICE[0], "wrong"), ("nobody", "x")):
        with own.api(auth=user) as api:
            assert api.get("loadbalancers").status_code == 401
    with own.api() as api:
        assert api.get("loadbalancers").status_code == 401
