# SPDX-License-Identifier: Apache-2.0
"""Lists: filtered, sorted and paged, with tags and relations, in a fixed number of statements.

A page is one statement (two with a marker). Statements are made once for each shape of a query; the
values are bound. Null sorts before every value.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, cast, exists, false, func, or_, select, true

from ottava.model import errors
from ottava.model.attribute import Relation, attributes
from ottava.model.resource import Declared
from ottava.store import tables
from ottava.store.columns import MARIADB, text
from ottava.store.resources import build
from ottava.store.tables import TABLES, source_of, stored

R = TypeVar("R", bound=Declared)
Found = tuple[R, dict[str, Any]]
"""What was found and its relations: {"listeners": [ids], "healthmonitor_id": id or None}."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to list.

    filters       attribute and value, text as in a query string or already read; all must be equal
    tags          has all of them;  tags_any: at least one
    not_tags      has not all of them;  not_tags_any: none
    sort          attribute and whether descending; created_at is appended, and id in the direction of created_at
    limit         at most so many, any number if None
    marker        the id of the object that the page begins after, in the order of `sort`
    reverse       the page ends before the marker instead; its order stays the same
    """

    filters: tuple[tuple[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    not_tags_any: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    marker: str | None = None
    reverse: bool = False


class _Shape(msgspec.Struct, frozen=True):
    """All of a query but its values. `marker`: for each sort key, whether the marker's value is null."""

    filters: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: bool = False
    marker: tuple[bool, ...] | None = None
    reverse: bool = False


_TAG_FIELDS = ("tags", "tags_any", "not_tags", "not_tags_any")


def page(conn: Connection, cls: type[R], query: Query, scope: Mapping[str, str]) -> list[Found[R]]:
    """The resources that match `query` and whose columns equal `scope` (project_id, pool_id ...).

    Raises BadQuery (what: filter, sort_key or marker; value).
    """
    if _asks_for_tags(query) and "tags" not in attributes(cls):
        raise errors.BadQuery(what="filter", value="tags")
    values: dict[str, Any] = {f"s_{name}": value for name, value in scope.items()}
    for name, value in query.filters:
        values[f"f_{name}"] = _filter_value(cls, name, value)
    present = []
    for field in _TAG_FIELDS:
        wanted = tuple(dict.fromkeys(getattr(query, field)))
        if wanted:
            present.append(field)
            values |= {field: wanted, f"{field}_count": len(wanted)}
    shape = _Shape(
        filters=tuple(name for name, _ in query.filters),
        scope=tuple(scope),
        tags=tuple(present),
        sort=_order(cls, query.sort),
        limit=query.limit is not None,
        reverse=query.reverse and query.marker is not None,
    )
    if query.limit is not None:
        values["limit"] = query.limit
    if query.marker is not None:
        shape = _after_marker(conn, cls, query.marker, shape, values)
    found = _read(cls, conn.execute(_page(conn.dialect.name, cls, shape), values).all())
    if shape.reverse:
        found.reverse()
    return found


def _asks_for_tags(query: Query) -> bool:
    return any(getattr(query, field) for field in _TAG_FIELDS)


def show(conn: Connection, cls: type[R], id: str) -> Found[R] | None:
    """One resource with its relations, or None."""
    rows = conn.execute(_show(conn.dialect.name, cls), {"id": id}).all()
    return _read(cls, rows)[0] if rows else None


def _filter_value(cls: type[Declared], name: str, value: object) -> object:
    attribute = attributes(cls).get(name)
    if attribute is None or not (attribute.filterable and attribute.stored):
        raise errors.BadQuery(what="filter", value=name)
    if isinstance(value, str):
        try:
            return attribute.scalar.query(value)
        except ValueError:
            raise errors.BadQuery(what="filter", value=value) from None
    return value


def _order(cls: type[Declared], sort: Sequence[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    keys: dict[str, bool] = {}
    key = cls.kind.key
    # Of those made in the same microsecond the order matters to nobody; in one direction an index serves.
    last = [("created_at", False), (key, dict(sort).get("created_at", False))]
    for name, descending in (*sort, *(each for each in last if each[0] in attributes(cls))):
        attribute = attributes(cls).get(name)
        if attribute is None or not (attribute.filterable and attribute.stored):
            raise errors.BadQuery(what="sort_key", value=name)
        keys.setdefault(name, descending)
        if name == key:  # unique: what would follow decides nothing
            break
    return tuple(keys.items())


def _after_marker(conn: Connection, cls: type[Declared], marker: str, shape: _Shape, values: dict[str, Any]) -> _Shape:
    table = source_of(cls)
    keys = [name for name, _ in shape.sort]
    wanted = [table.c[cls.kind.key] == marker, *(table.c[name] == values[f"s_{name}"] for name in shape.scope)]
    row = conn.execute(select(*(table.c[name] for name in keys)).where(*wanted)).one_or_none()
    if row is None:
        raise errors.BadQuery(what="marker", value=marker)
    values |= {f"m_{name}": value for name, value in zip(keys, row, strict=True) if value is not None}
    return msgspec.structs.replace(shape, marker=tuple(value is None for value in row))


def _read(cls: type[R], rows: Sequence[Any]) -> list[Found[R]]:
    width = len(stored(cls))
    tagged = "tags" in attributes(cls)
    own, gathered = _relations(cls)
    found = []
    for row in rows:
        tags, *arrays = row[width:] if tagged else (None, *row[width:])
        resource = build(cls, row, tuple(sorted(_DECODE(tags))) if tags not in _EMPTY else ())
        relations: dict[str, Any] = {name: [getattr(resource, key)] for name, key in own}
        for (name, many), array in zip(gathered, arrays, strict=True):
            ids = _ids(array)
            relations[name] = ids if many else (ids[0] if ids else None)
        found.append((resource, relations))
    return found


_DECODE = msgspec.json.Decoder(list[str]).decode
_EMPTY = (None, "[]")


def _ids(gathered: str | None) -> list[str]:
    """The ids in order of creation, of the JSON array of "created_at id" in any order."""
    if gathered in _EMPTY:
        return []
    items = _DECODE(gathered)
    items.sort()
    return [each.rpartition(" ")[2] for each in items]


@functools.cache
def _relations(cls: type[Declared]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, bool], ...]]:
    """Those that are in a column of our own, as (name, column), and those to gather, as (name, many)."""
    each = cls.kind.relations
    own = tuple((relation.name, relation.key) for relation in each if not relation.reverse)
    return own, tuple((relation.name, relation.many) for relation in each if relation.reverse)


@functools.cache
def _show(dialect: str, cls: type[Declared]) -> Select[Any]:
    table = source_of(cls)
    return _with_relations(dialect, cls, select(table).where(table.c[cls.kind.key] == bindparam("id")).subquery("p"))


@functools.lru_cache(maxsize=1024)
def _page(dialect: str, cls: type[Declared], shape: _Shape) -> Select[Any]:
    table = source_of(cls)
    statement = select(table).where(*_conditions(table, shape))
    order = [(name, descending != shape.reverse) for name, descending in shape.sort]
    statement = statement.order_by(*(_ordered(dialect, table.c[name], descending) for name, descending in order))
    if shape.limit:
        statement = statement.limit(bindparam("limit"))
    inner = statement.subquery("p")
    whole = _with_relations(dialect, cls, inner)
    return whole.order_by(*(_ordered(dialect, inner.c[name], descending) for name, descending in order))


def _ordered(dialect: str, column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    ordered = column.desc() if descending else column.asc()
    if dialect == "postgresql" and _nullable(column):
        return ordered.nulls_last() if descending else ordered.nulls_first()
    return ordered


def _nullable(column: ColumnElement[Any]) -> bool:
    """Whether null may stand there; what is no column of a table may always be null."""
    return bool(getattr(column, "nullable", True))


def _conditions(table: Any, shape: _Shape) -> list[ColumnElement[bool]]:
    conditions = [table.c[name] == bindparam(f"s_{name}") for name in shape.scope]
    conditions += [table.c[name] == bindparam(f"f_{name}") for name in shape.filters]
    conditions += [_tagged(table, field) for field in shape.tags]
    if shape.marker is not None:
        conditions.append(_beyond(table, shape))
    return conditions


def _tagged(table: Any, field: str) -> ColumnElement[bool]:
    tag = tables.tag
    having = select(tag.c.resource_id).where(tag.c.tag.in_(bindparam(field, expanding=True)))
    if field in ("tags", "not_tags"):
        having = having.group_by(tag.c.resource_id).having(func.count() == bindparam(f"{field}_count"))
    matching: ColumnElement[bool] = table.c.id.in_(having)
    return ~matching if field.startswith("not_") else matching


def _beyond(table: Any, shape: _Shape) -> ColumnElement[bool]:
    """That a row comes after the marker: greater in one key, equal in all before it."""
    cases = []
    equal: list[ColumnElement[bool]] = []
    for (name, descending), null in zip(shape.sort, shape.marker or (), strict=True):
        column = table.c[name]
        value = bindparam(f"m_{name}", type_=column.type)
        cases.append(and_(*equal, _past(column, value, null, descending != shape.reverse)))
        equal.append(column.is_(None) if null else column == value)
    (name, descending), null = shape.sort[0], (shape.marker or (True,))[0]
    first = table.c[name]
    if _nullable(first) or null:
        return or_(*cases)
    value = bindparam(f"m_{name}", type_=first.type)
    # Implied by the cases, and what lets an index be used.
    return and_(first <= value if descending != shape.reverse else first >= value, or_(*cases))


def _past(column: Any, value: Any, null: bool, descending: bool) -> ColumnElement[bool]:
    if null:
        return false() if descending else column.is_not(None)
    if descending:
        return or_(column < value, column.is_(None)) if _nullable(column) else column < value
    return column > value  # type: ignore[no-any-return]


def _with_relations(dialect: str, cls: type[Declared], page: Any) -> Select[Any]:
    extras = []
    if "tags" in attributes(cls):
        extras.append(_gather(dialect, page, tables.tag.c.tag, tables.tag.c.resource_id == page.c.id))
    for relation in cls.kind.relations:
        if relation.reverse:
            target = TABLES[relation.target]
            # An aggregate's order is spelled differently everywhere; so the order is gathered too.
            item = target.c.created_at + " " + target.c.id
            extras.append(_gather(dialect, page, item, _related(cls, relation, target, page)))
    return select(*(page.c[name] for name in stored(cls)), *extras)


def _related(cls: type[Declared], relation: Relation, target: Any, page: Any) -> ColumnElement[bool]:
    direct: ColumnElement[bool] = target.c[relation.key] == page.c.id
    if (cls.kind.name, relation.name) != ("pool", "listeners"):
        return direct
    policy, rule = TABLES["l7policy"], TABLES["rule"]
    redirected = (
        exists()
        .where(
            policy.c.listener_id == target.c.id,
            policy.c.redirect_pool_id == page.c.id,
            policy.c.action == "REDIRECT_TO_POOL",
            policy.c.admin_state_up == true(),
            exists().where(rule.c.l7policy_id == policy.c.id).correlate(policy),
        )
        .correlate(target, page)
    )
    return and_(target.c.loadbalancer_id == page.c.loadbalancer_id, or_(direct, redirected))


def _gather(dialect: str, page: Any, item: Any, condition: ColumnElement[bool]) -> Any:
    """A column of the page: the JSON array of `item`, as text, over the rows that fulfil `condition`; null if none."""
    if dialect == "sqlite":
        array: ColumnElement[str] = func.json_group_array(item)
    elif dialect in MARIADB:
        array = func.json_arrayagg(item)
    else:
        array = cast(func.json_agg(item), text())
    return select(array).where(condition).correlate(page).scalar_subquery()
