# SPDX-License-Identifier: Apache-2.0
"""When hosts count as lost, what the brake holds, and how long failures wait."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottava.model.amphora import Host
from ottava.rules.failure import backoff, dead_hosts, host_views


def hosts(alive: int, silent: int) -> list[Host]:
    known = [Host(name=f"alive-{number}", url="", last_seen=100.0) for number in range(alive)]
    return known + [Host(name=f"silent-{number}", url="", last_seen=40.0) for number in range(silent)]


def loads(those: list[Host], each: int = 1) -> dict[str, int]:
    return {host.name: each for host in those}


def test_a_host_is_lost_when_it_was_silent_for_the_whole_timeout() -> None:
    found = [Host(name="on time", url="", last_seen=40.1), Host(name="late", url="", last_seen=40.0)]
    losses = dead_hosts(found, 100.0, 60.0, loads(found))
    assert losses.silent == losses.replace == {"late"}
    (sentence,) = losses.sentences
    assert "1 of 2 hosts" in sentence
    assert "late" in sentence


@pytest.mark.parametrize(
    ("alive", "silent", "brake", "replaced"),
    [
        (1, 1, 0.5, True),
        (0, 1, 0.5, True),
        (2, 2, 0.5, True),
        (1, 2, 0.5, False),
        (0, 2, 0.5, False),
        (9, 2, 0.1, False),
        (9, 1, 0.0, True),
        (8, 2, 0.0, False),
        (0, 5, 1.0, True),
    ],
)
def test_the_brake(alive: int, silent: int, brake: float, replaced: bool) -> None:
    found = hosts(alive, silent)
    losses = dead_hosts(found, 100.0, 60.0, loads(found), brake)
    assert len(losses.silent) == silent
    assert losses.replace == (losses.silent if replaced else frozenset())
    assert ("nothing is replaced" in losses.sentences[0]) != replaced
    views = host_views(found, 100.0, 60.0, loads(found), brake)
    assert {view.name for view in views if view.held} == losses.silent - losses.replace
    assert {view.name for view in views if not view.alive} == losses.silent
    assert all(view.load == 1 for view in views)


def test_hosts_that_carry_nothing_do_not_set_the_brake() -> None:
    found = hosts(2, 5)
    losses = dead_hosts(found, 100.0, 60.0, {"silent-0": 3, "alive-0": 1})
    assert losses.replace == losses.silent
    assert "silent-0" in losses.sentences[0]
    assert "silent-1" not in losses.sentences[0]


def test_hosts_that_were_emptied_long_ago_do_not_loosen_the_brake() -> None:
    found = hosts(1, 8)
    assert dead_hosts(found, 100.0, 60.0, {"silent-0": 3, "silent-1": 3, "alive-0": 1}).replace == frozenset()


def test_nothing_lost_says_nothing() -> None:
    assert dead_hosts(hosts(2, 0), 100.0, 60.0, {}).sentences == ()
    assert dead_hosts(hosts(2, 1), 100.0, 60.0, {"alive-0": 2}).sentences == ()


def test_the_bound_doubles_up_to_the_cap() -> None:
    assert [backoff(attempts, 0.5, 60, 1.0) for attempts in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff(10**9, 0.5, 60, 1.0) == 60


@given(st.integers(0, 10**6), st.floats(0.01, 10), st.floats(0.01, 1000), st.floats(0, 1))
@settings(deadline=None)
def test_a_pause_is_anywhere_up_to_its_bound(attempts: int, base: float, cap: float, random01: float) -> None:
    bound = backoff(attempts, base, cap, 1.0)
    assert bound <= cap
    assert backoff(attempts, base, cap, random01) == pytest.approx(bound * random01)
    assert backoff(attempts, base, cap, 0.0) == 0
