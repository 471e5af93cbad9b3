# SPDX-License-Identifier: Apache-2.0
"""Query strings of lists: filters, tags, fields, sorting and paging; and the links to the pages around one."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from ottava.api.errors import bad_request
from ottava.api.settings import Settings
from ottava.model import errors
from ottava.model.attribute import Attribute
from ottava.model.scalars import truth
from ottava.store.query import Query

SORTING = ("sort", "sort_key", "sort_dir")
PAGING = ("limit", "marker", "page_reverse")
TAGS = {"tags": "tags", "tags-any": "tags_any", "not-tags": "not_tags", "not-tags-any": "not_tags_any"}
INTERNAL = {"load_balancer_id": "loadbalancer_id", "enabled": "admin_state_up"}
"""Names of the reference's own columns that clients may use."""

Parameters = dict[str, list[str]]


class Asked(msgspec.Struct, frozen=True):
    """What a query string asks for.

    project_id  from the filter of that name; which projects are seen is not the filter's to say
    pairs       all pairs, for the links
    """

    query: Query
    fields: tuple[str, ...] = ()
    project_id: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """The decoded pairs of a query string. Raises a routing fault for what is not UTF-8, BadQuery for an empty key."""
    try:
        found = tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000))
    except ValueError:
        raise bad_request("The query string cannot be read.") from None
    for key, value in found:
        if not key or "\x00" in key or "\x00" in value:
            raise errors.BadQuery(what="filter", value=key)
    return found


def fields(text: str, settings: Settings) -> tuple[str, ...]:
    """The fields asked for, the one parameter that showing one object has."""
    if not text or not settings.allow_field_selection:
        return ()
    return tuple(value for key, value in pairs(text) if key == "fields")


def flag(text: str, name: str) -> bool:
    """The switch of that name, off where it is not given."""
    return truth(dict(pairs(text)).get(name, ""))


def read(text: str, declared: Mapping[str, Attribute], settings: Settings) -> Asked:
    """What a list is asked for. Raises errors.BadQuery, and routing faults for limit, sort syntax and direction."""
    given = pairs(text) if text else ()
    several: Parameters = {}
    for key, value in given:
        several.setdefault(key, []).append(value)
    chosen = tuple(several.pop("fields", ()))
    paging = _once(several, PAGING)
    sorting = _once(several, SORTING)
    tags = {ours: several.pop(theirs) for theirs, ours in TAGS.items() if theirs in several}
    filters = _filters(several, declared) if settings.allow_filtering else {}
    project = filters.pop("project_id", None)
    query = Query(
        filters=tuple(filters.items()),
        sort=_sort(sorting, declared) if settings.allow_sorting else (),
        **(_tags(tags) if settings.allow_filtering else {}),
        **_paging(paging, settings),
    )
    return Asked(
        query,
        chosen if settings.allow_field_selection else (),
        None if project is None else str(project),
        given,
    )


def _once(several: Parameters, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        values = several.pop(name, [])
        if len(values) > 1:
            raise bad_request(f"{name} is given more than once.")
        if values:
            found[name] = values[0]
    return found


def _filters(several: Parameters, declared: Mapping[str, Attribute]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, values in several.items():
        name = _named(key, declared)
        attribute = declared.get(name)
        if attribute is None or not attribute.filterable or len(values) > 1 or name in found:
            raise errors.BadQuery(what="filter", value=key)
        try:
            found[name] = attribute.scalar.query(values[0])
        except (ValueError, OverflowError):
            raise errors.BadQuery(what="filter", value=key) from None
    return found


def _named(key: str, declared: Mapping[str, Attribute]) -> str:
    """The attribute that a key means."""
    return key if key in declared else INTERNAL.get(key, key)


def _tags(given: Mapping[str, list[str]]) -> dict[str, Any]:
    return {name: tuple(dict.fromkeys(",".join(values).split(","))) for name, values in given.items()}


def _sort(given: Mapping[str, str], declared: Mapping[str, Attribute]) -> tuple[tuple[str, bool], ...]:
    if given.get("sort"):
        wanted = [_sort_pair(each) for each in given["sort"].split(",")]
    elif given.get("sort_key"):
        directions = [each for each in given.get("sort_dir", "").split(",") if each]
        keys = given["sort_key"].split(",")
        wanted = [(key, directions[at] if at < len(directions) else "asc") for at, key in enumerate(keys)]
    else:
        return ()
    order: dict[str, bool] = {}
    for key, direction in wanted:
        name = _named(key, declared)
        if name not in declared or not declared[name].filterable:
            raise errors.BadQuery(what="sort_key", value=key)
        order.setdefault(name, _descending(direction))
    return tuple(order.items())


def _sort_pair(text: str) -> tuple[str, str]:
    key, _, direction = text.partition(":")
    if ":" in direction:
        raise bad_request(f"The sort '{text}' has more than one colon.")
    return key, direction or "asc"


def _descending(direction: str) -> bool:
    if direction.lower() not in ("asc", "desc"):
        raise bad_request(f"Supplied sort direction '{direction}' is not valid.")
    return direction.lower() == "desc"


def _paging(given: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    if not settings.allow_pagination:
        return {"limit": None}
    marker = given.get("marker")
    if marker == "":
        raise errors.BadQuery(what="marker", value=marker)
    reverse = given.get("page_reverse") == "True"
    return {"limit": _limit(given.get("limit"), settings.max_limit), "marker": marker, "reverse": reverse}


def _limit(text: str | None, largest: int | None) -> int | None:
    """How many objects one page has; None for no limit."""
    if text is None:
        return largest
    if text == "infinite":
        return None
    try:
        number = int(text)
    except ValueError:
        raise bad_request(f"Supplied pagination limit '{text}' is not valid.") from None
    return min(number, largest or number) if number > 0 else None


def links(asked: Asked, url: str, ids: list[str]) -> list[dict[str, str]]:
    """The links to the pages before and after this one; they ask for the same as this page did.

    There is a next page when this one is full (it may turn out to be empty), a previous one when this was asked for
    by a marker and is not empty.
    """
    limit = asked.query.limit
    if limit is None or not ids:
        return []
    same = [("limit", str(limit)), *((key, value) for key, value in asked.pairs if key not in PAGING)]
    found = []
    if asked.query.marker is not None:
        back = urlencode([*same, ("marker", ids[0]), ("page_reverse", "True")])
        found.append({"href": f"{url}?{back}", "rel": "previous"})
    if len(ids) >= limit:
        found.append({"href": f"{url}?{urlencode([*same, ('marker', ids[-1])])}", "rel": "next"})
    return found
