# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients that come with users of a real Keystone: each sees and does what is theirs."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack import exceptions
from support.cloud import Cloud
from support.keystone import User
from support.machine import BIN, Machine


@pytest.fixture
def alice(cloud: Cloud) -> User:
    """A member of a project."""
    return cloud.keystone.user("alice", cloud.keystone.project("one"), ["member"])


@pytest.fixture
def bob(cloud: Cloud) -> User:
    """A member of another."""
    return cloud.keystone.user("bob", cloud.keystone.project("two"), ["member"])


def test_the_sdk_sees_its_own_project(cloud: Cloud, alice: User, bob: User) -> None:
    assert alice.project
    with cloud.sdk(alice) as one, cloud.sdk(bob) as two, cloud.sdk() as all_:
        hers, his, everybodys = (each.load_balancer for each in (one, two, all_))
        made = hers.create_load_balancer(name="hers", vip_subnet_id=cloud.subnet_id)
        assert made.project_id == alice.project.id
        assert [each.id for each in hers.load_balancers()] == [made.id]
        assert list(his.load_balancers()) == []
        for refused in (
            lambda: his.get_load_balancer(made.id),
            lambda: his.update_load_balancer(made.id, name="his"),
            lambda: his.delete_load_balancer(made.id),
            lambda: hers.failover_load_balancer(made.id),
        ):
            with pytest.raises(exceptions.ForbiddenException):
                refused()
        assert [each.name for each in everybodys.load_balancers(project_id=alice.project.id)] == ["hers"]
        everybodys.failover_load_balancer(made.id)


def test_the_openstack_command_by_clouds_yaml(cloud: Cloud, alice: User, tmp_path: Path) -> None:
    clouds = {"mine": cloud.keystone.cloud(alice, cloud.region)}
    clouds["wrong"] = json.loads(json.dumps(clouds["mine"]).replace(alice.password, "wrong"))
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "openstack"), "--os-cloud", name, "loadbalancer", *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path, env=clean
        )

    cloud.post("loadbalancers", name="not-hers", vip_subnet_id=cloud.subnet_id)
    with cloud.sdk(alice) as connection:
        connection.load_balancer.create_load_balancer(name="hers", vip_subnet_id=cloud.subnet_id)
    listed: dict[str, Any] = {name: run(name, "list", "-f", "json") for name in clouds}
    assert [each["name"] for each in json.loads(listed["mine"].stdout)] == ["hers"]
    assert "401" in listed["wrong"].stderr


def test_options_that_cannot_work_end_it_with_the_reason(machine: Callable[..., Machine]) -> None:
    own = machine({"api": {"auth_strategy": "keystone"}})
    assert "auth_type" in own.ottava("api", ok=False)
