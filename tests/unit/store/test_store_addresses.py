# SPDX-License-Identifier: Apache-2.0
"""Addresses: given once at a time, given back, and given again."""

import itertools
import multiprocessing

import pytest
from support.claimers import FEW, take_many
from support.threads import together
from support.trees import make

from ottava.model import errors
from ottava.model.load_balancer import LoadBalancer
from ottava.store import engine as engines
from ottava.store import resources
from ottava.store.addresses import Addresses

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def book(engine):
    return Addresses(engine)


def test_the_first_free_one_is_given(book):
    assert book.take("net", "sub", "p1", "a", FEW) == FEW[0]
    assert book.take("net", "sub", "p2", "b", FEW) == FEW[1]
    assert [(each.address, each.port_id, each.owner) for each in book.of("p2")] == [(FEW[1], "p2", "b")]
    assert [each.address for each in book.owned_by("a")] == [FEW[0]]
    assert book.of("none") == book.owned_by("none") == []


def test_a_port_keeps_the_one_it_has(book):
    assert book.take("net", "sub", "p1", "a", FEW[3:]) == FEW[3]
    assert book.take("net", "sub", "p1", "a", FEW) == FEW[3]
    assert len(book.of("p1")) == 1


def test_subnets_do_not_mix(book):
    given = [book.take(net, sub, f"p {net} {sub}", "a", FEW) for net in "xy" for sub in "st"]
    assert given == [FEW[0]] * 4
    assert book.take("x", "s", "p x s", "a", FEW) == FEW[0]


def test_one_that_is_taken_is_refused(book):
    book.take("net", "sub", "p1", "a", FEW[:1])
    with pytest.raises(errors.Duplicate) as refused:
        book.take("net", "sub", "p2", "b", FEW[:1])
    assert refused.value.facts["what"] == "vip"


def test_one_that_is_given_back_is_given_again(book):
    book.take("net", "sub", "p1", "a", FEW)
    book.release("p1")
    book.release("p1")
    assert book.of("p1") == []
    assert book.take("net", "sub", "p2", "b", FEW) == FEW[0]


def test_endless_candidates_are_asked_for_one_by_one(book):
    def endless():
        return (f"fd00:0:0:77::{number:x}" for number in itertools.count(1))

    assert [book.take("net", "sub", f"p{n}", "a", endless()) for n in (1, 2, 3)] == [
        f"fd00:0:0:77::{n}" for n in (1, 2, 3)
    ]


def test_addresses_of_load_balancers_that_are_gone_are_found(engine, book):
    with engines.writing(engine) as conn:
        resources.insert(conn, make(LoadBalancer))
    for owner in ("lb", "gone", ""):
        book.take("net", "sub", f"port of {owner}", owner, FEW)
    assert [each.owner for each in book.ownerless()] == ["gone"]


def test_processes_never_get_the_same_one(book, url):
    results = SPAWN.Queue()
    takers = [SPAWN.Process(target=take_many, args=(url, f"t{number}", results)) for number in range(3)]
    for taker in takers:
        taker.start()
    found = [results.get(timeout=120) for _ in takers]
    for taker in takers:
        taker.join()
    assert sorted(address for given, _ in found for address in given) == sorted(FEW)
    assert sum(refused for _, refused in found) == 3 * 6 - len(FEW)


def test_threads_that_take_and_release_never_share_one(book):
    holders = {}

    def come_and_go(name):
        for number in range(12):
            port = f"{name} {number}"
            try:
                mine = book.take("net", "sub", port, name, FEW[:3])
            except errors.Duplicate:
                continue
            assert holders.setdefault(mine, port) == port
            del holders[mine]
            book.release(port)

    together(*(lambda name=name: come_and_go(name) for name in "abcde"))
    assert all(book.owned_by(name) == [] for name in "abcde")
    assert [book.take("net", "sub", f"p{n}", "a", FEW[:3]) for n in range(3)] == list(FEW[:3])
