# SPDX-License-Identifier: Apache-2.0
"""Fixtures of several rooms: a whole Ottava, and members on its bridge."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from support import databases
from support import keystone as keystones
from support.keystone import Keystone
from support.machine import Machine
from support.members import Members
from support.slots import slot

Options = Mapping[str, Mapping[str, object]]


def pytest_sessionfinish() -> None:
    """The servers that tests have started end with them."""
    databases.stop()


@pytest.fixture(scope="session")
def _root() -> None:
    if os.geteuid() != 0:
        pytest.fail("these tests make network namespaces and need root")


def _machine(stack: ExitStack, more: Options | None = None) -> Machine:
    """A Machine that is taken down with `stack`; that nothing is left is part of every test."""
    machine = Machine(stack.enter_context(slot()), more)
    stack.callback(machine.down)
    return machine


@pytest.fixture(scope="session")
def keystone() -> Iterator[Keystone]:
    """A real Keystone, shared by all tests of this process: each makes projects and users of its own."""
    with keystones.keystone() as found:
        yield found


@pytest.fixture(scope="module")
def options() -> Options:
    """The options of `ottava` that differ from those of other tests; a module may define its own."""
    return {}


@pytest.fixture(scope="module")
def ottava(_root: None, options: Options) -> Iterator[Machine]:
    """A whole Ottava that runs, shared by the tests of a module: they must leave it running."""
    with ExitStack() as stack:
        machine = _machine(stack, options)
        machine.up()
        yield machine


@pytest.fixture(scope="module")
def members(ottava: Machine) -> Iterator[Members]:
    """Makes members on the bridge of `ottava`: `members("a").address`."""
    found = Members(ottava.slot.tag, ottava.network)
    yield found
    found.close()


@pytest.fixture
def machine(_root: None) -> Iterator[Callable[..., Machine]]:
    """Makes an Ottava of the test's own, not started yet: `machine({"api": {"auth_strategy": "http_basic"}})`."""
    with ExitStack() as stack:
        yield lambda more=None: _machine(stack, more)


@pytest.fixture
def members_of(_root: None) -> Iterator[Callable[[Machine], Members]]:
    """Makes members for an Ottava of the test's own: `members_of(machine)("a").address`."""
    with ExitStack() as stack:

        def make(machine: Machine) -> Members:
            found = Members(machine.slot.tag, machine.network)
            stack.callback(found.close)
            return found

        yield make
