# SPDX-License-Identifier: Apache-2.0
"""A controller that is killed at any point of its work: the next one ends it, traffic goes on, nothing is left behind."""

import os
import signal
import subprocess

import httpx
import pytest
from support.machine import Machine, eventually

from ottava.agent import namespaces

STEPS = {
    "create": ("PlaceAmphora", "ApplyAmphora"),
    "update": ("ApplyAmphora",),
    "delete": ("RemoveAmphora", "ReleasePort", "ForgetLoadBalancer"),
}
POINTS = [
    (verb, f"controller:{point}")
    for verb, steps in STEPS.items()
    for point in ("claimed", *(f"{step}:{side}" for step in steps for side in ("before", "after")), "settled")
    if (verb, point) != ("delete", "settled")
]


def controllers(ottava: Machine) -> list[int]:
    return [each.pid for each in ottava.running() if each.role == "controller"]


class Understudy:
    """While the controller of an Ottava is stopped, another one works in its place and dies at a point."""

    def __init__(self, ottava: Machine, point: str) -> None:
        self._ottava = ottava
        self._point = point

    def __enter__(self) -> "Understudy":
        self._stopped = controllers(self._ottava)
        assert self._stopped
        for pid in self._stopped:
            os.kill(pid, signal.SIGSTOP)
        environment = {**os.environ, "OTTAVA_CRASH_AT": self._point}
        with self._ottava.log.open("a") as log:
            self._process = subprocess.Popen(
                self._ottava.command("controller"), env=environment, stdout=log, stderr=log
            )
        return self

    def die(self) -> None:
        """Wait until it has killed itself."""
        assert self._process.wait(60) == -signal.SIGKILL

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pid in self._stopped:
            os.kill(pid, signal.SIGCONT)


def tree(*addresses: tuple[str, int]) -> dict[str, object]:
    crew = [{"address": address, "protocol_port": port} for address, port in addresses]
    pool = {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": crew}
    return {"listeners": [{"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}]}


def answers(address: str) -> set[str]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return {client.get(f"http://{address}/").text.strip() for _ in range(8)}


@pytest.fixture
def ottava(machine) -> Machine:
    made = machine({"controller": {"lease": 2, "sweep": 0.2}})
    made.up()
    return made


def test_whatever_point_it_dies_at_the_work_is_ended(ottava, members_of):
    """All points in one Ottava, since starting one takes longer than all of this."""
    members = members_of(ottava)
    one, two = (members(name) for name in ("one", "two"))
    bystander = ottava.create(tree((one.address, one.port)))
    for verb, point in POINTS:
        _act(ottava, verb, point, one, two)
        assert answers(bystander["vip_address"]) == {"one"}, (verb, point)
    ottava.ask("DELETE", f"loadbalancers/{bystander['id']}?cascade=true")
    ottava.gone(bystander["id"])
    eventually(lambda: not [name for name in ottava.left() if "haproxy" in name], "proxies are left")
    amphorae = [name for name in namespaces.names(f"{ottava.slot.tag}-") if "-m-" not in name]
    assert amphorae == []


def _act(ottava: Machine, verb: str, point: str, one, two) -> None:
    if verb == "create":
        with Understudy(ottava, point) as understudy:
            wish = {"vip_subnet_id": ottava.subnet(), **tree((one.address, one.port))}
            made = ottava.ask("POST", "loadbalancers", {"loadbalancer": wish})["loadbalancer"]
            understudy.die()
        found = ottava.active(made["id"])
        assert answers(found["vip_address"]) == {"one"}, (verb, point)
        ottava.ask("DELETE", f"loadbalancers/{made['id']}?cascade=true")
        ottava.gone(made["id"])
        return
    found = ottava.create(tree((one.address, one.port)))
    if verb == "update":
        pool = ottava.ask("GET", f"pools?loadbalancer_id={found['id']}")["pools"][0]["id"]
        with Understudy(ottava, point) as understudy:
            body = {"member": {"address": two.address, "protocol_port": two.port}}
            ottava.ask("POST", f"pools/{pool}/members", body)
            understudy.die()
            assert answers(found["vip_address"]) <= {"one", "two"}
        ottava.active(found["id"])
        eventually(lambda: answers(found["vip_address"]) == {"one", "two"}, f"{verb} {point}")
        ottava.ask("DELETE", f"loadbalancers/{found['id']}?cascade=true")
    else:
        with Understudy(ottava, point) as understudy:
            ottava.ask("DELETE", f"loadbalancers/{found['id']}?cascade=true")
            understudy.die()
    ottava.gone(found["id"])
