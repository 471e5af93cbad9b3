# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of each process at each step: what was asked becomes so, traffic goes on, nothing is left behind.

What a lone controller does after its own death at each of its steps is in tests/integration; here the whole Ottava
runs, the process at the step dies, or `ottava up` does, or another process does while that step is taken.
"""

import http.client
from collections.abc import Callable
from typing import Any

import pytest
from support.chaos import OPTIONS, Chaos, member, tree
from support.load import Load, who
from support.machine import Machine, eventually
from support.members import Member, Members

WRITE = ("api:before-commit", "api:committed")
CHANGE = ("agent:stored", "agent:files", "agent:started", "agent:committed")
START = ("agent:stored", "agent:namespace", "agent:interfaces", *CHANGE[1:])
STEPS = {
    "create": ("api:port", *WRITE, "controller:PlaceAmphora:after", *START, "controller:settled"),
    "member": (*WRITE, *CHANGE, "controller:settled"),
    "listener": (*WRITE, *CHANGE, "controller:ApplyAmphora:after"),
    "l7": (*WRITE, *CHANGE, "controller:ApplyAmphora:before"),
    "delete": (
        *WRITE,
        "controller:RemoveAmphora:before",
        "agent:removing",
        "agent:stopped",
        "agent:unlinked",
        "controller:ReleasePort:after",
    ),
}
SPARED = {"api:before-commit", "agent:stored", "agent:namespace", "agent:committed", "agent:unlinked"}
"""Where `ottava up` does not die: to start it again takes longer than all else."""
AMID = {"create": "agent:interfaces", "delete": "agent:stopped"}
"""Where the processes that have nothing to do with the step die; elsewhere at agent:files."""


def kills(verb: str) -> list[tuple[str, str]]:
    """(point, victim): `up` dies after each few of the others, which also ends their pauses before a new start."""
    found = []
    for point in STEPS[verb]:
        if not point.startswith("controller:"):
            found.append((point, "self"))
        if point not in SPARED:
            found.append((point, "up"))
    amid = AMID.get(verb, "agent:files")
    return found + [(amid, victim) for victim in ("controller", "health", "api", "all")]


class Stage:
    """A load balancer under traffic, which all that happens must leave alone; and what is done beside or to it."""

    def __init__(self, chaos: Chaos, one: Member, two: Member) -> None:
        self.chaos, self.one, self.two = chaos, one, two
        away = [{"type": "PATH", "compare_type": "STARTS_WITH", "value": "/away"}]
        policy = {"action": "REDIRECT_TO_URL", "redirect_url": "http://example.org/0", "rules": away}
        wish = tree(one)
        wish["listeners"][0]["l7policies"] = [policy]
        self.balancer = chaos.machine.create({"name": "steady", **wish})
        self.vip = self.balancer["vip_address"]
        self.pool = chaos.all_of("pools")[0]["id"]
        self.policy = chaos.all_of("l7policies")[0]["id"]
        self.number = 0

    def act(self, verb: str, point: str, victim: str) -> None:
        """Ask for something while somebody dies, and see that it comes true, or nothing at all if nobody answered."""
        self.number += 1
        prepare: Callable[[], Any] = getattr(self, f"before_{verb}", lambda: None)
        subject = prepare()
        self.chaos.arm(point, victim)
        answer = self.chaos.attempt(*getattr(self, f"ask_{verb}")(subject))
        assert answer is None or answer.is_success, answer.text
        self.chaos.struck(f"{verb} {point} {victim}")
        done = getattr(self, f"see_{verb}")(subject)
        if answer is not None or (victim == "self" and point == "api:committed"):
            assert done
        elif victim == "self":
            assert point in ("api:port", "api:before-commit")
            assert not done

    # ---- create

    def ask_create(self, _: object) -> tuple[str, str, object]:
        wish = {
            "name": f"new-{self.number}",
            "vip_subnet_id": self.chaos.machine.subnet(),
            **tree(self.one),
        }
        return "POST", "loadbalancers", {"loadbalancer": wish}

    def see_create(self, _: object) -> bool:
        found = self.chaos.all_of("loadbalancers", name=f"new-{self.number}")
        for each in found:
            self.chaos.active(each["id"])
            assert who(each["vip_address"], number=2) == {"one": 2}
            self.chaos.remove(each["id"])
        return len(found) == 1

    # ---- a member more, by the runtime API

    def ask_member(self, _: object) -> tuple[str, str, object]:
        return "POST", f"pools/{self.pool}/members", {"member": member(self.two)}

    def see_member(self, _: object) -> bool:
        self.chaos.active(self.balancer["id"])
        found = self.chaos.all_of(f"pools/{self.pool}/members", address=self.two.address)
        assert set(who(self.vip, number=20)) == ({"one", "two"} if found else {"one"})
        for each in found:
            self.chaos.ask("DELETE", f"pools/{self.pool}/members/{each['id']}")
        self.chaos.active(self.balancer["id"])
        assert set(who(self.vip, number=20)) == {"one"}
        return len(found) == 1

    # ---- a listener more, by a reload

    def ask_listener(self, _: object) -> tuple[str, str, object]:
        body = {
            "protocol": "HTTP",
            "protocol_port": 1000 + self.number,
            "loadbalancer_id": self.balancer["id"],
            "default_pool_id": self.pool,
        }
        return "POST", "listeners", {"listener": body}

    def see_listener(self, _: object) -> bool:
        self.chaos.active(self.balancer["id"])
        port = 1000 + self.number
        found = self.chaos.all_of("listeners", protocol_port=port)
        assert opens(self.vip, port) == bool(found)
        for each in found:
            self.chaos.ask("DELETE", f"listeners/{each['id']}")
        self.chaos.active(self.balancer["id"])
        eventually(lambda: not opens(self.vip, port), "the port of a deleted listener stays open")
        return len(found) == 1

    # ---- an L7 policy changed

    def ask_l7(self, _: object) -> tuple[str, str, object]:
        return "PUT", f"l7policies/{self.policy}", {"l7policy": {"redirect_url": f"http://example.org/{self.number}"}}

    def see_l7(self, _: object) -> bool:
        self.chaos.active(self.balancer["id"])
        url = self.chaos.all_of("l7policies")[0]["redirect_url"]
        assert location(self.vip) == url
        return bool(url == f"http://example.org/{self.number}")

    # ---- delete

    def before_delete(self) -> dict[str, Any]:
        return self.chaos.machine.create(tree(self.one))

    def ask_delete(self, made: dict[str, Any]) -> tuple[str, str]:
        return "DELETE", f"loadbalancers/{made['id']}?cascade=true"

    def see_delete(self, made: dict[str, Any]) -> bool:
        found = self.chaos.all_of("loadbalancers", id=made["id"])
        kept = bool(found) and found[0]["provisioning_status"] != "PENDING_DELETE"
        if kept:
            assert who(made["vip_address"], number=2) == {"one": 2}
            self.chaos.remove(made["id"])
        eventually(lambda: not self.chaos.all_of("loadbalancers", id=made["id"]), "a deleted load balancer stays")
        return not kept


def opens(address: str, port: int) -> bool:
    try:
        return who(address, port) == {"one": 1}
    except ConnectionRefusedError:
        return False


def location(address: str) -> str | None:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/away")
    found = connection.getresponse().getheader("Location")
    connection.close()
    return found


@pytest.mark.parametrize("verb", STEPS)
def test_whoever_dies_at_whatever_step(
    machine: Callable[..., Machine], members_of: Callable[[Machine], Members], verb: str
) -> None:
    """All kills of one verb in one Ottava, since starting one takes longer than one of them."""
    own = machine(OPTIONS)
    chaos = Chaos(own)
    members = members_of(own)
    stage = Stage(chaos, members("one"), members("two"))
    with Load(stage.vip, threads=2, pause=0.02) as load:
        for point, victim in kills(verb):
            stage.act(verb, point, victim)
            load.more(2)
            assert load.failures == [], (point, victim)
    assert load.failures == []
    chaos.tidy([stage.balancer["id"]])
    chaos.remove(stage.balancer["id"])
    chaos.tidy([])
