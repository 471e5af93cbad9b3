# SPDX-License-Identifier: Apache-2.0
"""SIGKILL while it is recorded that a member fell: sooner or later the statuses say what is so."""

from collections.abc import Callable

import pytest
from support.chaos import OPTIONS, Chaos, tree
from support.load import Load, who
from support.machine import Machine, eventually
from support.members import Members

KILLS = [
    ("health:before-commit", "self"),
    ("health:before-commit", "agent"),
    ("health:recorded", "self"),
    ("health:before-commit", "up"),
    ("health:recorded", "agent"),
    ("health:before-commit", "all"),
]


@pytest.fixture
def chaos(machine: Callable[..., Machine]) -> Chaos:
    return Chaos(machine(OPTIONS))


def test_no_fall_of_a_member_is_lost(chaos: Chaos, members_of: Callable[[Machine], Members]) -> None:
    """Before the commit means: of a transaction in which a status changes."""
    members = members_of(chaos.machine)
    one, failing = members("one"), members("failing")
    steady = chaos.machine.create(tree(one))
    monitor = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}
    watched = chaos.machine.create(tree(one, failing, healthmonitor=monitor))
    pool = chaos.all_of("pools", loadbalancers=[{"id": watched["id"]}])[0]["id"]

    def status() -> tuple[str, str]:
        member = chaos.all_of(f"pools/{pool}/members", address=failing.address)[0]
        balancer = chaos.all_of("loadbalancers", id=watched["id"])[0]
        return member["operating_status"], balancer["operating_status"]

    eventually(lambda: status() == ("ONLINE", "ONLINE"), "it never came up")
    with Load(steady["vip_address"], threads=2, pause=0.02) as load:
        for point, victim in KILLS:
            chaos.arm(point, victim)
            failing.stop()
            chaos.struck(f"{point} {victim}")
            eventually(lambda: status() == ("ERROR", "DEGRADED"), f"{point} {victim}: the fall was lost")
            assert who(watched["vip_address"], number=4) == {"one": 4}
            failing.start()
            eventually(lambda: status() == ("ONLINE", "ONLINE"), f"{point} {victim}: the rise was lost")
            load.more(2)
            assert load.failures == [], (point, victim)
    assert load.failures == []
    chaos.tidy([steady["id"], watched["id"]])
