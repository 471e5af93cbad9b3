# SPDX-License-Identifier: Apache-2.0
"""A whole Ottava in the catalog of a real Keystone, and the clients that find it there, unmodified."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml
from openstack import exceptions
from support.keystone import Keystone, Project, User
from support.machine import BIN, Machine, eventually

PATHS = ("", "/load-balancer", "/v2", "/v2.0", "/load-balancer/v2.0/")
"""How the endpoint of the catalog may end."""


@pytest.fixture(scope="module")
def options(keystone: Keystone) -> Mapping[str, Mapping[str, object]]:
    """By Keystone, as an operator has it."""
    service = keystone.user("ottava", keystone.project("service"), ["service"])
    assert service.project
    return {
        "api": {"auth_strategy": "keystone", "access_log": True},
        "keystone_authtoken": {
            "www_authenticate_uri": keystone.url, "auth_url": keystone.url, "auth_type": "password",
            "username": service.name, "password": service.password, "user_domain_id": "default",
            "project_id": service.project.id, "service_type": "load-balancer",
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def projects(keystone: Keystone) -> tuple[Project, Project]:
    """Two of them."""
    return keystone.project("one"), keystone.project("two")


@pytest.fixture(scope="module")
def alice(keystone: Keystone, projects: tuple[Project, Project]) -> User:
    """A member of the first."""
    return keystone.user("alice", projects[0], ["member"])


@pytest.fixture(scope="module")
def bob(keystone: Keystone, projects: tuple[Project, Project]) -> User:
    """A member of the second."""
    return keystone.user("bob", projects[1], ["member"])


@pytest.fixture(scope="module")
def region(keystone: Keystone, ottava: Machine) -> str:
    """The region of the catalog where it is, for networks too, since there is no network service."""
    return keystone.endpoint(ottava.url, "network", keystone.endpoint(ottava.url))


def connection(keystone: Keystone, user: User, region: str) -> Any:
    return openstack.connect(**keystone.cloud(user, region), load_config=False).load_balancer


@pytest.mark.parametrize("path", PATHS)
def test_the_sdk_finds_it_in_the_catalog(keystone: Keystone, ottava: Machine, alice: User, path: str) -> None:
    cloud = connection(keystone, alice, keystone.endpoint(ottava.url + path))
    assert {each.name for each in cloud.providers()} >= {"octavia", "ottava"}
    assert list(cloud.load_balancers()) == []


def test_the_sdk_sees_its_own_project(keystone: Keystone, ottava: Machine, alice: User, bob: User, region: str) -> None:
    hers, his, all_ = (connection(keystone, user, region) for user in (alice, bob, keystone.admin))
    made = hers.create_load_balancer(name="hers", vip_subnet_id=ottava.subnet())
    assert [each.id for each in hers.load_balancers()] == [made.id]
    assert list(his.load_balancers()) == []
    with pytest.raises(exceptions.ForbiddenException):
        his.get_load_balancer(made.id)
    assert [each.id for each in all_.load_balancers(project_id=alice.project.id)] == [made.id]
    hers.wait_for_load_balancer(made.id, interval=0.1, wait=60)
    with pytest.raises(exceptions.ForbiddenException):
        hers.failover_load_balancer(made.id)
    all_.failover_load_balancer(made.id)
    hers.wait_for_load_balancer(made.id, interval=0.1, wait=60)
    hers.delete_load_balancer(made.id)
    eventually(lambda: hers.find_load_balancer(made.id) is None)


def test_the_openstack_command(
    keystone: Keystone, ottava: Machine, alice: User, bob: User, region: str, tmp_path: Path
) -> None:
    clouds = {"mine": keystone.cloud(alice, region), "his": keystone.cloud(bob, region)}
    clouds["wrong"] = json.loads(json.dumps(clouds["mine"]).replace(alice.password, "wrong"))
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}

    def run(cloud: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "openstack"), "--os-cloud", cloud, "loadbalancer", *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path, env=clean
        )

    made = run("mine", "create", "--name", "by-cli", "--vip-subnet-id", ottava.subnet(), "--wait", "-f", "json")
    assert json.loads(made.stdout)["provisioning_status"] == "ACTIVE", made.stderr

    def listed(cloud: str) -> list[str]:
        return [each["name"] for each in json.loads(run(cloud, "list", "-f", "json").stdout)]

    assert listed("mine") == ["by-cli"]
    assert listed("his") == []
    assert "401" in run("wrong", "list").stderr
    assert "403" in run("mine", "failover", "by-cli").stderr
    assert run("mine", "delete", "--cascade", "--wait", "by-cli").returncode == 0


def test_the_log_says_who_asked_and_not_by_which_token(keystone: Keystone, ottava: Machine, alice: User) -> None:
    token = keystone.token(alice)
    with ottava.api(headers={"X-Auth-Token": token}) as api:
        answer = api.get("loadbalancers?name=told-of")
    request = answer.headers["x-openstack-request-id"]
    line = eventually(lambda: [each for each in ottava.words().splitlines() if request in each])[0]
    assert alice.project
    assert f'[{request}] 127.0.0.1 {alice.id} {alice.project.id} "GET /v2/lbaas/loadbalancers?name=told-of" 200' in line
    assert token not in ottava.words()


def test_options_that_cannot_work_end_it_with_the_reason(machine: Callable[..., Machine]) -> None:
    own = machine({"api": {"auth_strategy": "keystone"}})
    assert "auth_type" in own.ottava("api", ok=False)
