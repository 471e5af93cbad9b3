# SPDX-License-Identifier: Apache-2.0
"""The clients that people have where there is no Keystone, all of them unmodified."""

import contextlib
import json
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from openstack import connect, exceptions
from support.cloud import serving
from support.load import who
from support.machine import ADMIN, Machine, eventually
from support.members import Members
from support.shell import Group, Shell

ALICE = ("alice", "also-no-secret")


def test_what_the_sdk_and_the_command_make_serves(ottava: Machine, members: Members) -> None:
    """Nothing waits for anything before the whole tree is asked for."""
    web, more = members("web"), members("more")
    cloud = ottava.sdk().load_balancer
    balancer = cloud.create_load_balancer(name="shared", vip_subnet_id=ottava.subnet())
    listener = cloud.create_listener(name="http", protocol="HTTP", protocol_port=80, load_balancer_id=balancer.id)
    pool = cloud.create_pool(name="pool", protocol="HTTP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id)
    cloud.create_member(pool, name="web", address=web.address, protocol_port=web.port)
    with contextlib.closing(Shell({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": ottava.url})) as shell:
        pools, balancers = Group(shell, "member"), Group(shell, "loadbalancer")
        pools.shows("create", "--name", "more", "--address", more.address, "--protocol-port", str(more.port), "pool")
        cloud.wait_for_load_balancer(balancer.id, interval=0.2, wait=60)
        eventually(lambda: set(who(balancer.vip_address, number=4)) == {"web", "more"})
        pools.does("delete", "pool", "more")
        eventually(lambda: who(balancer.vip_address, number=4) == {"web": 4})
        tree = json.loads(balancers.says("status", "show", "shared"))
        assert [each["name"] for each in tree["loadbalancer"]["listeners"][0]["pools"][0]["members"]] == ["web"]
        eventually(lambda: balancers.shows("stats", "show", "shared")["total_connections"])
        balancers.does("delete", "--cascade", "shared")
    ottava.gone(balancer.id)
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_load_balancer(balancer.id)


def test_names_of_networks_and_subnets_are_found(ottava: Machine) -> None:
    names = {each.name: each.id for each in ottava.sdk().network.subnets()}
    assert names == {"lan-ipv4": ottava.subnet(4), "lan-ipv6": ottava.subnet(6)}
    with contextlib.closing(Shell({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": ottava.url})) as shell:
        balancers = Group(shell, "loadbalancer")
        six = balancers.shows("create", "--vip-subnet-id", "lan-ipv6")
        assert six["vip_subnet_id"] == ottava.subnet(6)
        four = balancers.shows("create", "--vip-network-id", "lan")
        assert four["vip_subnet_id"] == ottava.subnet(4)
        for made in (six, four):
            balancers.does("delete", made["id"])
            ottava.gone(made["id"])


def _line(user: tuple[str, str], project: str, roles: str) -> str:
    return f"{user[0]}:{bcrypt.hashpw(user[1].encode(), bcrypt.gensalt(4)).decode()}:{project}:{roles}\n"


def _told(url: str, user: tuple[str, str]) -> dict[str, Any]:
    return {"auth_type": "http_basic", "auth": {"endpoint": url, "username": user[0], "password": user[1]}}


def test_http_basic_says_who_may_see_what(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.touch(mode=0o600)
    users.write_text(_line(ADMIN, "a" * 32, "admin") + _line(ALICE, "b" * 32, "member"))
    basic = {"auth_strategy": "http_basic", "http_basic_auth_user_file": users}
    with serving(tmp_path, {"api": basic}) as url:
        environment = {
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": url,
            "OS_USERNAME": ALICE[0],
            "OS_PASSWORD": ALICE[1],
        }
        with contextlib.closing(Shell(environment)) as shell:
            balancers = Group(shell, "loadbalancer")
            made = balancers.shows("create", "--name", "of-alice", "--vip-subnet-id", "lan-ipv4", "--wait")
            assert made["project_id"] == "b" * 32
            root = connect(**_told(url, ADMIN), load_config=False)
            other = root.load_balancer.create_load_balancer(name="of-admin", vip_subnet_id=made["vip_subnet_id"])
            assert [each["name"] for each in balancers.shows("list")] == ["of-alice"]
            assert "Unable to locate of-admin" in balancers.says("show", "of-admin")
        assert {each.name for each in root.load_balancer.load_balancers()} == {"of-alice", "of-admin"}
        alice = connect(**_told(url, ALICE), load_config=False)
        assert [each.name for each in alice.load_balancer.load_balancers()] == ["of-alice"]
        with pytest.raises(exceptions.ForbiddenException):
            alice.load_balancer.get_load_balancer(other.id)
        for wrong in ((ALICE[0], "wrong"), ("nobody", "x"), None):
            assert httpx.get(f"{url}/v2/lbaas/loadbalancers", auth=wrong, trust_env=False).status_code == 401
