# SPDX-License-Identifier: Apache-2.0
"""Leases: no two ever hold one load balancer, none is lost, and a dead worker's work is taken over."""

import multiprocessing
import signal
import threading
import time

import pytest
from support import databases
from support.claimers import LONG, claim_and_die, claim_in_a_process, take_turns
from support.threads import together
from support.trees import make

from ottava.model import errors
from ottava.model.load_balancer import LoadBalancer
from ottava.store import engine as engines
from ottava.store import resources, work

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def lb(engine):
    """One load balancer, due."""
    create(engine, "lb")
    return "lb"


def create(engine, *ids):
    with engines.writing(engine) as conn:
        resources.insert_many(conn, [make(LoadBalancer, id=id) for id in ids])


def touch(engine, id="lb"):
    with engines.writing(engine) as conn:
        return work.touch(conn, id)


def finish(engine, claim, generation=None, again_in=None):
    with engines.writing(engine) as conn:
        return work.finish(conn, claim, claim.generation if generation is None else generation, again_in)


def postpone(engine, claim, seconds, error="broken"):
    with engines.writing(engine) as conn:
        return work.postpone(conn, claim, seconds, error)


def held(engine, claim):
    with engines.writing(engine) as conn:
        return work.held(conn, claim)


def view(engine, id="lb"):
    with engines.reading(engine) as conn:
        return work.view(conn, id)


def test_a_new_load_balancer_is_due_and_given_once(engine, lb):
    claim = work.claim(engine, "me", LONG)
    assert claim == work.Claim(lb, epoch=1, generation=1, owner="me")
    assert work.claim(engine, "you", LONG) is None
    assert held(engine, claim)
    assert view(engine).lease_owner == "me"


def test_what_is_finished_is_not_due(engine, lb):
    claim = work.claim(engine, "me", LONG)
    assert finish(engine, claim)
    assert work.claim(engine, "me", LONG) is None
    assert work.next_due(engine) is None
    seen = view(engine)
    assert (seen.generation, seen.observed_generation, seen.due_at, seen.lease_owner) == (1, 1, None, None)
    assert view(engine, "none") is None


def test_it_is_due_again_when_asked_for(engine, lb):
    finish(engine, work.claim(engine, "me", LONG), again_in=LONG)
    assert work.claim(engine, "me", LONG) is None
    assert work.next_due(engine) == pytest.approx(view(engine).now + LONG, abs=30)
    finish_again = touch(engine)
    assert finish_again == 2
    finish(engine, work.claim(engine, "me", LONG), again_in=0)
    assert work.claim(engine, "me", LONG).epoch == 3


@pytest.mark.parametrize("again_in", [None, LONG])
@pytest.mark.parametrize("event", ["touch", "poke"])
def test_what_becomes_due_during_a_lease_is_seen_when_it_ends(engine, lb, event, again_in):
    claim = work.claim(engine, "me", LONG)
    with engines.writing(engine) as conn:
        work.touch(conn, lb) if event == "touch" else work.poke(conn, [lb, "none"])
    assert work.claim(engine, "you", LONG) is None
    assert finish(engine, claim, again_in=again_in)
    again = work.claim(engine, "you", LONG)
    assert (again.epoch, again.generation) == (2, 2 if event == "touch" else 1)


def test_a_generation_that_moved_is_due_at_once(engine, lb):
    touch(engine)
    claim = work.claim(engine, "me", LONG)
    assert finish(engine, claim, generation=1, again_in=LONG)
    assert work.claim(engine, "me", LONG).generation == 2


def test_failures_are_counted_until_a_success(engine, lb):
    for attempt in range(3):
        claim = work.claim(engine, "me", LONG)
        assert claim.attempts == attempt
        assert (claim.failing_since is None) == (attempt == 0)
        assert postpone(engine, claim, 0, f"broken {attempt}")
    seen = view(engine)
    assert (seen.attempts, seen.error, seen.lease_owner, seen.observed_generation) == (3, "broken 2", None, 0)
    assert claim.failing_since == seen.failing_since <= seen.due_at
    with engines.reading(engine) as conn:
        assert work.waiting(conn) == {lb}
    finish(engine, work.claim(engine, "me", LONG))
    seen = view(engine)
    assert (seen.attempts, seen.error, seen.failing_since) == (0, None, None)
    with engines.reading(engine) as conn:
        assert work.waiting(conn) == set()


def test_a_postponed_one_waits_unless_it_is_touched(engine, lb):
    claim = work.claim(engine, "me", LONG)
    postpone(engine, claim, LONG)
    assert work.claim(engine, "me", LONG) is None
    touch(engine)
    claim = work.claim(engine, "me", LONG)
    touch(engine)
    postpone(engine, claim, LONG)
    assert work.claim(engine, "me", LONG).generation == 3


def test_a_lease_that_ran_out_is_taken_over_and_fenced(engine, lb):
    dead = work.claim(engine, "dead", 0)
    assert work.next_due(engine) <= view(engine).now
    heir = work.claim(engine, "heir", LONG)
    assert (heir.loadbalancer_id, heir.epoch) == (lb, dead.epoch + 1)
    assert not held(engine, dead)
    assert not work.renew(engine, dead, LONG)
    assert not finish(engine, dead)
    assert not postpone(engine, dead, 0)
    assert view(engine).lease_owner == "heir"
    assert finish(engine, heir)


def test_a_renewed_lease_is_kept(engine, lb):
    claim = work.claim(engine, "me", 0)
    assert work.renew(engine, claim, LONG)
    assert work.claim(engine, "you", LONG) is None


def test_a_lease_that_ended_cannot_be_used(engine, lb):
    claim = work.claim(engine, "me", LONG)
    finish(engine, claim)
    assert not work.renew(engine, claim, LONG)
    assert not finish(engine, claim)
    assert not held(engine, claim)


def test_an_owner_that_stops_gives_everything_back(engine):
    create(engine, "a", "b", "c")
    mine = {work.claim(engine, "me", LONG).loadbalancer_id for _ in range(2)}
    yours = work.claim(engine, "you", LONG)
    work.release_all(engine, "me")
    assert {work.claim(engine, "x", LONG).loadbalancer_id for _ in range(2)} == mine
    assert work.claim(engine, "x", LONG) is None
    assert held(engine, yours)


def test_the_longest_due_comes_first(engine):
    for id in ("c", "a", "b"):
        create(engine, id)
    assert [work.claim(engine, "me", LONG).loadbalancer_id for _ in range(3)] == ["c", "a", "b"]


def test_only_what_exists_can_be_touched(engine):
    with pytest.raises(errors.NotFound):
        touch(engine, "none")


def check(turns, ids, generation):
    for id in ids:
        mine = [turn for turn in turns if turn[0] == id]
        assert [epoch for _, epoch, _ in sorted(mine)] == list(range(1, len(mine) + 1)), "no epoch is given twice"
        assert max(seen for _, _, seen in mine) == generation, "the newest wish was seen"


def test_threads_never_hold_one_together(engine, tmp_path):
    ids = [f"lb{number}" for number in range(6)]
    create(engine, *ids)
    turns = []
    workers = [lambda name=f"w{number}": take_turns(engine, name, tmp_path, turns) for number in range(4)]
    together(*workers, lambda: [touch(engine, id) for _ in range(8) for id in ids])
    check(turns, ids, 9)
    assert {(view(engine, id).observed_generation, view(engine, id).due_at) for id in ids} == {(9, None)}


def test_processes_never_hold_one_together(engine, url, tmp_path):
    ids = [f"lb{number}" for number in range(6)]
    create(engine, *ids)
    results = SPAWN.Queue()
    workers = [
        SPAWN.Process(target=claim_in_a_process, args=(url, f"w{number}", tmp_path, results)) for number in range(3)
    ]
    for worker in workers:
        worker.start()
    for _ in range(8):
        for id in ids:
            touch(engine, id)
    turns = [turn for _ in workers for turn in results.get(timeout=120)]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    # Workers that started late may have found nothing; what they left is taken here.
    take_turns(engine, "last", tmp_path, turns)
    check(turns, ids, 9)


def test_the_work_of_a_killed_process_is_taken_over(engine, url, lb):
    victim = SPAWN.Process(target=claim_and_die, args=(url, 0.05))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert view(engine).lease_owner == "dead"
    for _ in range(1000):
        heir = work.claim(engine, "heir", LONG)
        if heir:
            break
        time.sleep(0.01)
    assert (heir.loadbalancer_id, heir.epoch) == (lb, 2)


@pytest.mark.parametrize("url", databases.SERVERS, indirect=True)  # SQLite has one lock for all
def test_a_locked_load_balancer_holds_up_no_other(engine):
    create(engine, "a", "b")
    locked, done = threading.Event(), threading.Event()

    def hold():
        with engines.writing(engine) as conn:
            work.touch(conn, "a")
            locked.set()
            done.wait(30)

    def pass_by():
        locked.wait(30)
        assert work.claim(engine, "me", LONG).loadbalancer_id == "b"
        assert work.claim(engine, "me", LONG) is None
        done.set()

    together(hold, pass_by)
    assert work.claim(engine, "me", LONG).loadbalancer_id == "a"
