# SPDX-License-Identifier: Apache-2.0
"""Those who want the same things at the same time; in a module of their own so that processes can be made of them."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ottava.model import errors
from ottava.store import engine as engines
from ottava.store import work
from ottava.store.addresses import Addresses

LONG = 60.0
FEW = tuple(f"198.18.0.{number}" for number in range(10, 22))
Turn = tuple[str, int, int]
"""The id of a load balancer, the epoch and the generation of a claim."""


class Exclusive:
    """Goes in and out of load balancers, and knows when two are in one at once: across threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self, claim: work.Claim) -> None:
        os.close(os.open(self._path(claim), os.O_CREAT | os.O_EXCL))

    def leave(self, claim: work.Claim) -> None:
        self._path(claim).unlink()

    def _path(self, claim: work.Claim) -> Path:
        return self._folder / claim.loadbalancer_id


def take_turns(engine: Engine, owner: str, folder: Path, turns: list[Turn]) -> None:
    """Claim, work and finish until nothing was due for a while; at each turn write down (id, epoch, generation)."""
    inside = Exclusive(folder)
    idle = 0
    while idle < 20:
        claim = work.claim(engine, owner, LONG)
        if claim is None:
            idle += 1
            time.sleep(0.01)
            continue
        idle = 0
        inside.enter(claim)
        time.sleep(0.001)
        inside.leave(claim)
        with engines.writing(engine) as conn:
            assert work.finish(conn, claim, claim.generation)
        turns.append((claim.loadbalancer_id, claim.epoch, claim.generation))


def claim_in_a_process(url: str, owner: str, folder: Path, results: Any) -> None:
    """Take turns, then put the turns taken into the queue."""
    engine = engines.create_engine(url)
    turns: list[Turn] = []
    take_turns(engine, owner, folder, turns)
    results.put(turns)


def claim_and_die(url: str, seconds: float) -> None:
    """Claim, and be killed."""
    assert work.claim(engines.create_engine(url), "dead", seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def take_many(url: str, name: str, results: Any) -> None:
    """Take addresses; put those given and the number of refusals into the queue."""
    book = Addresses(engines.create_engine(url))
    given, refused = [], 0
    for number in range(6):
        try:
            given.append(book.take("net", "sub", f"{name} {number}", name, FEW))
        except errors.Duplicate:
            refused += 1
    results.put((given, refused))
