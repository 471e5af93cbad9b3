# SPDX-License-Identifier: Apache-2.0
"""Where unmodified clients look for the API, and how they walk through long lists."""

import contextlib

import pytest
from openstack import exceptions
from support.cloud import PAGE, Cloud
from support.keystone import Project
from support.shell import Group, Shell


@pytest.mark.parametrize("path", ["", "/v2/", "/v2.0", "/load-balancer", "/load-balancer/v2.0/"])
def test_the_sdk_finds_the_api_at(path: str, cloud: Cloud) -> None:
    region = cloud.keystone.endpoint(cloud.url + path)
    with cloud.sdk(region=region) as connection:
        use = connection.load_balancer
        made = use.create_load_balancer(name="here", vip_subnet_id=cloud.subnet_id)
        assert use.find_load_balancer("here").id == made.id
        assert [each.id for each in use.load_balancers()] == [made.id]
        assert [each.loadbalancer_id for each in use.amphorae()] == [made.id]
        use.delete_load_balancer(made)
    assert cloud.list("loadbalancers") == []


@pytest.mark.parametrize("path", ["/v2", "/load-balancer/"])
def test_the_command_finds_the_api_and_every_page_of_a_list_at(path: str, cloud: Cloud) -> None:
    for name in ("here", *["more"] * PAGE):
        cloud.post("loadbalancers", name=name, vip_subnet_id=cloud.subnet_id)
    region = cloud.region_at(cloud.url + path)
    with contextlib.closing(Shell(cloud.environment(region=region))) as shell:
        assert Group(shell, "loadbalancer").shows("show", "here")["name"] == "here"
        assert len(Group(shell, "loadbalancer").shows("list")) == PAGE + 1
        assert len(Group(shell, "loadbalancer").shows("list", "--name", "more")) == PAGE
        assert len(Group(shell, "amphora").shows("list")) == PAGE + 1


def test_the_sdk_follows_the_links_of_a_long_list(cloud: Cloud) -> None:
    balancer = cloud.post("loadbalancers", vip_subnet_id=cloud.subnet_id)
    pool = cloud.post("pools", loadbalancer_id=balancer["id"], protocol="TCP", lb_algorithm="ROUND_ROBIN")
    batch = [
        {"address": cloud.address(number), "protocol_port": 80, "name": f"m{number}", "tags": [f"t{number % 2}"]}
        for number in range(1, 26)
    ]
    cloud.ask("PUT", f"pools/{pool['id']}/members", {"members": batch})
    with cloud.sdk(region=cloud.keystone.endpoint(f"{cloud.url}/load-balancer")) as connection:
        use = connection.load_balancer
        for limit in (4, 5, 25, 100):
            assert {each.name for each in use.members(pool["id"], limit=limit)} == {each["name"] for each in batch}
        names = [each.name for each in use.members(pool["id"], limit=4, tags="t1")]
        assert sorted(names) == sorted(f"m{number}" for number in range(1, 26, 2))
        assert len([*use.members(pool["id"], limit=4, paginated=False)]) == 4


def test_a_tenant_finds_only_what_is_theirs(cloud: Cloud) -> None:
    alice = cloud.keystone.user("alice", Project(cloud.other_project_id, cloud.other_project), ["member"])
    cloud.post("loadbalancers", name="of-admin", vip_subnet_id=cloud.subnet_id)
    with cloud.sdk(alice) as connection, contextlib.closing(Shell(cloud.environment(alice))) as shell:
        balancers = Group(shell, "loadbalancer")
        made = balancers.shows("create", "--name", "of-alice", "--vip-subnet-id", "lan-ipv4", "--wait")
        assert made["project_id"] == cloud.other_project_id
        use = connection.load_balancer
        assert [each.name for each in use.load_balancers()] == ["of-alice"]
        assert use.find_load_balancer("of-admin") is None
        assert "Unable to locate of-admin" in balancers.says("delete", "of-admin")
        with pytest.raises(exceptions.ForbiddenException):
            list(use.amphorae())
        assert "HTTP 403" in Group(shell, "flavor").says("create", "--name", "f", "--flavorprofile", "p")
    assert {each["name"] for each in cloud.list("loadbalancers")} == {"of-admin", "of-alice"}
