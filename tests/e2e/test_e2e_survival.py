# SPDX-License-Identifier: Apache-2.0
"""The proxies outlive whatever happens to the processes of Ottava."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from support.load import Load, who
from support.machine import Machine, eventually
from support.members import Members

from ottava.agent import namespaces, processes


def _balancer(ottava: Machine, members: Members) -> dict[str, Any]:
    servers = [
        {"name": each.name, "address": each.address, "protocol_port": each.port}
        for each in (members("a"), members("b"))
    ]
    pool = {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": servers}
    return ottava.create({"listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": pool}]})


def _change(ottava: Machine, made: dict[str, Any], weight: int) -> None:
    """A change that must reach the proxy."""
    pool = ottava.ask("GET", f"pools?loadbalancer_id={made['id']}")["pools"][0]["id"]
    path = f"pools/{pool}/members"
    member = next(each for each in ottava.ask("GET", path)["members"] if each["name"] == "b")
    ottava.ask("PUT", f"{path}/{member['id']}", {"member": {"weight": weight}})
    ottava.active(made["id"])
    expected = {"a": 6 // (1 + weight)} | ({"b": 6 * weight // (1 + weight)} if weight else {})
    eventually(lambda: who(made["vip_address"], number=6) == expected)


@pytest.fixture(scope="module")
def balancer(ottava: Machine, members: Members) -> dict[str, Any]:
    return _balancer(ottava, members)


@pytest.mark.parametrize("role", ["api", "controller", "agent", "health"])
def test_a_killed_process_is_started_again_and_traffic_goes_on(
    ottava: Machine, balancer: dict[str, Any], role: str
) -> None:
    old = next(each for each in ottava.running() if each.role == role)
    with Load(balancer["vip_address"]) as load:
        load.more()
        os.kill(old.pid, signal.SIGKILL)
        eventually(lambda: [each for each in ottava.running() if each.role == role and each.pid != old.pid])
        eventually(lambda: _answers(ottava))
        load.more()
        _change(ottava, balancer, 2)
        _change(ottava, balancer, 1)
    assert load.failures == []
    assert f"{role} was killed by SIGKILL" in ottava.words()


def _answers(ottava: Machine) -> bool:
    try:
        ottava.ask("GET", "loadbalancers")
    except Exception:
        return False
    return True


def _proxy(ottava: Machine) -> set[int]:
    return {pid for several in processes.everything(ottava.run_dir).values() for pid in several}


def test_everything_killed_at_once_and_a_new_up_takes_over(
    machine: Callable[..., Machine], members_of: Callable[[Machine], Members]
) -> None:
    own = machine()
    own.up()
    made = _balancer(own, members_of(own))
    proxy = _proxy(own)
    with Load(made["vip_address"]) as load:
        load.more()
        own.kill_everything()
        load.more()
        own.up()
        load.more()
        assert _proxy(own) == proxy
        _change(own, made, 0)
        _change(own, made, 1)
        assert own.stop() == 0
        load.more()
        own.up()
        load.more()
    assert load.failures == []
    assert own.ask("GET", f"loadbalancers/{made['id']}")["loadbalancer"]["provisioning_status"] == "ACTIVE"


def test_a_killed_up_takes_its_processes_with_it(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up()
    own.stop(signal.SIGKILL)
    eventually(lambda: own.running() == [])
    own.up()


def test_a_killed_proxy_and_a_deleted_namespace_come_back(ottava: Machine, balancer: dict[str, Any]) -> None:
    found = _proxy(ottava)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: _proxy(ottava) and not _proxy(ottava) & found)
    eventually(lambda: _serves(balancer))
    for name in namespaces.names(f"{ottava.slot.tag}-"):
        if "-m-" not in name:
            namespaces.delete(name)
    eventually(lambda: _serves(balancer))
    _change(ottava, balancer, 2)
    _change(ottava, balancer, 1)


def _serves(made: dict[str, Any]) -> bool:
    try:
        return who(made["vip_address"], number=2) == {"a": 1, "b": 1}
    except OSError:
        return False
