# SPDX-License-Identifier: Apache-2.0
"""The tables: those of the resources are derived from their declarations, the rest stand here.

Every table below the load balancer has `loadbalancer_id`, so that a tree is read and deleted without
joins. What must be unique inside a tree is checked under the lock of the load balancer's row, not here.
"""

import functools
import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    FromClause,
    Index,
    MetaData,
    Subquery,
    Table,
    cast,
    false,
    null,
    select,
)

from ottava.model.amphora import AmphoraInFull
from ottava.model.attribute import attributes
from ottava.model.catalogue import CATALOGUES, PROFILES, Entry, Flavor
from ottava.model.event import Event
from ottava.model.graph import RESOURCES
from ottava.model.load_balancer import LoadBalancer
from ottava.model.quota import Quota
from ottava.model.resource import Declared, Resource
from ottava.store.columns import Json, sql_type, string, text
from ottava.wire.heartbeat import ListenerReport, PoolReport

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


@functools.cache
def stored(cls: type[Declared]) -> tuple[str, ...]:
    """The names of the attributes that have a column of their own, in order."""
    return tuple(name for name, attribute in attributes(cls).items() if attribute.stored)


def _nullable(hint: object) -> bool:
    return isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)


def _parent_table(cls: type[Resource]) -> str | None:
    return cls.kind.parent.removesuffix("_id") if cls.kind.parent else None


def _columns(cls: type[Declared], edges: Mapping[str, str]) -> list[Column[object]]:
    """The columns of what is declared; edges: the tables that columns point to."""
    hints = typing.get_type_hints(cls)
    return [
        Column(
            name,
            sql_type(attributes(cls)[name].scalar.sql, hints[name]),
            *([ForeignKey(f"{edges[name]}.id")] if name in edges else []),
            primary_key=name == cls.kind.key,
            nullable=_nullable(hints[name]),
        )
        for name in stored(cls)
    ]


def _table(cls: type[Resource]) -> Table:
    parent = _parent_table(cls)
    table = Table(cls.kind.name, metadata, *_columns(cls, {f"{parent}_id": parent} if parent else {}))
    for leading in _sought_by(cls):
        Index(None, *(table.c[name] for name in (*leading, "created_at", "id")))
    for name in CROSS_REFERENCES.get(cls.kind.name, ()):
        Index(None, table.c[name])
    return table


def _sought_by(cls: type[Resource]) -> list[tuple[str, ...]]:
    """What lists of the resource are sought by; each in the order of creation."""
    keys = {key: None for key in ("project_id", "loadbalancer_id", cls.kind.parent) if key in stored(cls)}
    names = [("name",)] if cls is LoadBalancer else []  # people know load balancers by name, and children by them
    return [(), *((key,) for key in keys if key), *names]


CROSS_REFERENCES = {"listener": ("default_pool_id",), "l7policy": ("redirect_pool_id",)}
"""Columns that name a pool without being its parent, by table; emptied when the pool is removed."""

TABLES: dict[str, Table] = {name: _table(cls) for name, cls in RESOURCES.items()}
"""The table of each resource by the name of its kind, parents before children."""


def _catalogue(cls: type[Entry]) -> Table:
    edges = {name: each.kind.name for name, each in PROFILES.items()}
    table = Table(cls.kind.name, metadata, *_columns(cls, edges))
    for name in edges.keys() & table.c.keys():
        Index(None, table.c[name])
    if cls is Flavor:
        Index(None, table.c.name, unique=True)
    return table


CATALOGUE_TABLES: dict[str, Table] = {name: _catalogue(cls) for name, cls in CATALOGUES.items()}
"""The table of each kind of entry by its name, profiles before what points to them."""


def table_of(cls: type[Resource]) -> Table:
    """The table of a resource."""
    return TABLES[cls.kind.name]


tag = Table(
    "tag",
    metadata,
    Column("resource_id", string(36), primary_key=True),
    Column("tag", string(255), primary_key=True),
    Column("loadbalancer_id", string(36), nullable=False, index=True),
)
Index(None, tag.c.tag, tag.c.resource_id)

work = Table(
    "work",
    metadata,
    Column("loadbalancer_id", string(36), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("observed_generation", BigInteger, nullable=False),
    Column("due_at", Double),
    Column("lease_owner", string(255)),
    Column("lease_until", Double),
    Column("epoch", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("failing_since", Double),
    Column("error", text()),
    Column("last_write", string(36)),
)
Index(None, work.c.lease_until, work.c.due_at)
"""Times are Unix seconds of the database's clock. due_at: null when nothing is due; a lease empties it, so
that what becomes due during a lease is seen when the lease ends. lease_until: null when nobody holds it."""

amphora = Table(
    "amphora",
    metadata,
    Column("id", string(36), primary_key=True),
    Column("loadbalancer_id", string(36), nullable=False, index=True),
    Column("host", string(255), nullable=False, index=True),
    Column("role", string(16), nullable=False),
    Column("status", string(16), nullable=False),
    Column("created_at", string(26), nullable=False),
)
Index(None, amphora.c.created_at, amphora.c.id)

host = Table(
    "host",
    metadata,
    Column("name", string(255), primary_key=True),
    Column("url", string(255), nullable=False),
    Column("address", string(64)),
    Column("last_seen", Double, nullable=False),
    Column("facts", Json(dict[str, object]), nullable=False),
    Column("started", Double, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

report = Table(
    "report",
    metadata,
    Column("amphora_id", string(36), primary_key=True),
    Column("loadbalancer_id", string(36), nullable=False, index=True),
    Column("host", string(255), nullable=False, index=True),
    Column("epoch", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("digest", string(64), nullable=False),
    Column("running", Boolean, nullable=False),
    Column("fault", text(), nullable=False),
    Column("listeners", Json(dict[str, ListenerReport]), nullable=False),
    Column("pools", Json(dict[str, PoolReport]), nullable=False),
)
"""The last report of each amphora, its counters left out."""

statistics = Table(
    "statistics",
    metadata,
    Column("listener_id", string(36), primary_key=True),
    Column("amphora_id", string(36), primary_key=True),
    Column("loadbalancer_id", string(36), nullable=False, index=True),
    Column("active_connections", BigInteger, nullable=False),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("request_errors", BigInteger, nullable=False),
    Column("total_connections", BigInteger, nullable=False),
)
Index(None, statistics.c.amphora_id)
"""Totals as reported. The row whose amphora_id is empty holds what amphorae that are gone had counted."""

address = Table(
    "address",
    metadata,
    Column("network_id", string(36), primary_key=True),
    Column("subnet_id", string(36), primary_key=True),
    Column("address", string(64), primary_key=True),
    Column("port_id", string(36), nullable=False, index=True),
    Column("owner", string(255), nullable=False, index=True),
)

quota = Table(
    "quota",
    metadata,
    Column("project_id", string(36), primary_key=True),
    *(Column(field.name, BigInteger) for field in msgspec.structs.fields(Quota) if field.name != "project_id"),
)


def _amphora_in_full() -> Subquery:
    """Amphorae with what their hosts and load balancers say of them; null for all that Ottava's have not."""
    balancer = TABLES["loadbalancer"]
    beside = {
        "project_id": balancer.c.project_id,
        "lb_network_ip": host.c.address,
        "ha_ip": balancer.c.vip_address,
        "ha_port_id": balancer.c.vip_port_id,
        "cert_busy": false(),
    }
    hints = typing.get_type_hints(AmphoraInFull)
    columns: list[ColumnElement[Any]] = []
    for name in stored(AmphoraInFull):
        kind = sql_type(attributes(AmphoraInFull)[name].scalar.sql, hints[name])
        other = beside.get(name, cast(null(), kind)).label(name)
        columns.append(amphora.c.get(name, other))  # a column of its own stays one, and keeps its index
    sources = amphora.outerjoin(balancer, balancer.c.id == amphora.c.loadbalancer_id)
    sources = sources.outerjoin(host, host.c.name == amphora.c.host)
    return select(*columns).select_from(sources).subquery("amphora_in_full")


event = Table("event", metadata, *_columns(Event, {}))
Index(None, event.c.loadbalancer_id, event.c.id)

_SOURCES: dict[str, FromClause] = {**TABLES, **CATALOGUE_TABLES, "amphora": _amphora_in_full(), "event": event}


def source_of(cls: type[Declared]) -> FromClause:
    """Where rows of what is declared are read: its table, or what can be read like one."""
    return _SOURCES[cls.kind.name]
