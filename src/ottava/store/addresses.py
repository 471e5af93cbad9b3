# SPDX-License-Identifier: Apache-2.0
"""The address book: which address of which subnet is whose."""

import itertools
from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, exists, select

from ottava.model import errors
from ottava.model.load_balancer import LoadBalancer
from ottava.store.engine import reading, retrying
from ottava.store.tables import address, table_of
from ottava.store.upserts import insert_missing


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address that is taken.

    port_id  the port that holds it
    owner    the id of the load balancer it is for; "" for what is no load balancer's
    """

    network_id: str
    subnet_id: str
    address: str
    port_id: str
    owner: str


_COLUMNS = tuple(address.c[name] for name in Address.__struct_fields__)


class Addresses:
    """The address book in the database; each call is a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, network_id: str, subnet_id: str, port_id: str, owner: str, candidates: Iterable[str]) -> str:
        """The first candidate that is free, taken for the port; what the port has in this subnet already, if it does.

        Raises Duplicate (what="vip", subnet_id) when no candidate is free.
        """
        again = _Again(candidates)

        def take(conn: Connection) -> str:
            place = {"network": network_id, "subnet": subnet_id}
            mine: str | None = conn.execute(_MINE, {**place, "port": port_id}).scalar()
            if mine is not None:
                return mine
            for batch in _batches(again):
                taken = set(conn.execute(_TAKEN, {**place, "candidates": batch}).scalars())
                for candidate in batch:
                    row = Address(
                        network_id=network_id, subnet_id=subnet_id, address=candidate, port_id=port_id, owner=owner
                    )
                    if candidate not in taken and insert_missing(conn, address, msgspec.structs.asdict(row)):
                        return candidate
            raise errors.Duplicate(what="vip", subnet_id=subnet_id)

        return retrying(self._engine, take)

    def release(self, port_id: str) -> None:
        """Give back every address of a port."""
        retrying(self._engine, lambda conn: conn.execute(delete(address).where(address.c.port_id == port_id)) and None)

    def of(self, port_id: str) -> list[Address]:
        """The addresses of a port."""
        return self._read(port_id=port_id)

    def owned_by(self, owner: str) -> list[Address]:
        """The addresses taken for an owner."""
        return self._read(owner=owner)

    def ownerless(self) -> list[Address]:
        """The addresses whose owner was a load balancer that does not exist (any more)."""
        balancer = table_of(LoadBalancer)
        known = exists().where(balancer.c.id == address.c.owner)
        with reading(self._engine) as conn:
            rows = conn.execute(select(*_COLUMNS).where(~known, address.c.owner != "")).mappings()
            return [Address(**row) for row in rows]

    def _read(self, **wanted: str) -> list[Address]:
        statement = select(*_COLUMNS).filter_by(**wanted).order_by(address.c.subnet_id, address.c.address)
        with reading(self._engine) as conn:
            return [Address(**row) for row in conn.execute(statement).mappings()]


_HERE = (address.c.network_id == bindparam("network"), address.c.subnet_id == bindparam("subnet"))
_MINE = select(address.c.address).where(*_HERE, address.c.port_id == bindparam("port"))
_TAKEN = select(address.c.address).where(*_HERE, address.c.address.in_(bindparam("candidates", expanding=True)))


def _batches(candidates: Iterable[str]) -> Iterator[list[str]]:
    """As many at a time as one statement asks for: few at first, since mostly one of them is free."""
    rest, size = iter(candidates), 16
    while batch := list(itertools.islice(rest, size)):
        yield batch
        size = min(512, 2 * size)


class _Again:
    """Iterates over the same values each time, asking their source for each only once (a subnet may be huge)."""

    def __init__(self, source: Iterable[str]) -> None:
        self._known: list[str] = []
        self._source = iter(source)

    def __iter__(self) -> Iterator[str]:
        return itertools.chain(tuple(self._known), self._remembered())

    def _remembered(self) -> Iterator[str]:
        for value in self._source:
            self._known.append(value)
            yield value
