# SPDX-License-Identifier: Apache-2.0
"""Flavors, availability zones and their profiles: written, read, changed and removed."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, delete, exists, insert, select, update

from ottava.model.catalogue import AvailabilityZone, AvailabilityZoneProfile, Entry, Flavor, FlavorProfile
from ottava.store.resources import build
from ottava.store.tables import CATALOGUE_TABLES, TABLES

E = TypeVar("E", bound=Entry)

_USERS: Mapping[type[Entry], Any] = {
    Flavor: TABLES["loadbalancer"].c.flavor_id,
    AvailabilityZone: TABLES["loadbalancer"].c.availability_zone,
    FlavorProfile: CATALOGUE_TABLES["flavor"].c.flavor_profile_id,
    AvailabilityZoneProfile: CATALOGUE_TABLES["availability_zone"].c.availability_zone_profile_id,
}
"""The columns that point to entries."""


def _is(cls: type[Entry], key: str) -> Any:
    return CATALOGUE_TABLES[cls.kind.name].c[cls.kind.key] == key


def get(conn: Connection, cls: type[E], key: str, lock: bool = False, share: bool = False) -> E | None:
    """The entry, or None.

    lock   nobody else holds, changes or removes it until the transaction ends
    share  nobody changes or removes it, but others may hold it so too
    """
    statement = select(CATALOGUE_TABLES[cls.kind.name]).where(_is(cls, key))
    if lock or share:
        statement = statement.with_for_update(read=not lock)
    row = conn.execute(statement).one_or_none()
    return None if row is None else build(cls, row)


def insert_one(conn: Connection, entry: Entry) -> None:
    """Write a new entry. Raises sqlalchemy's IntegrityError where its name is taken."""
    conn.execute(insert(CATALOGUE_TABLES[entry.kind.name]), msgspec.structs.asdict(entry))


def change(conn: Connection, entry: Entry, values: Mapping[str, object]) -> None:
    """Set attributes of an entry. Raises sqlalchemy's IntegrityError where its name is taken."""
    if values:
        table = CATALOGUE_TABLES[entry.kind.name]
        conn.execute(update(table).where(_is(type(entry), entry.key)).values(dict(values)))


def remove(conn: Connection, entry: Entry) -> None:
    """Delete an entry that nobody uses."""
    conn.execute(delete(CATALOGUE_TABLES[entry.kind.name]).where(_is(type(entry), entry.key)))


def used(conn: Connection, entry: Entry) -> bool:
    """Whether a load balancer has it, or something on offer points to it."""
    return bool(conn.execute(select(exists().where(_USERS[type(entry)] == entry.key))).scalar_one())
