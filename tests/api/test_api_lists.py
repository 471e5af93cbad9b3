# SPDX-License-Identifier: Apache-2.0
"""Lists: filters, tags, fields, sorting, pages and their links."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("one", "two", "three", "four", "five")
TAGS = {"one": ["a"], "two": ["a", "b"], "three": ["b", "c"], "four": [], "five": ["a", "b", "c"]}


@pytest.fixture(scope="module")
def five(api: Any) -> dict[str, str]:
    """Five listeners by name; the odd ones are down."""
    balancer = api.make("loadbalancers", name="lists", project_id="lists")
    return {
        name: api.make(
            "listeners", loadbalancer_id=balancer["id"], name=name, protocol="TCP", protocol_port=100 + at,
            admin_state_up=at % 2 == 1, tags=TAGS[name], connection_limit=[5, None, 5, -1, 7][at],
        )["id"]
        for at, name in enumerate(NAMES)
    }  # fmt: skip


def names(api: Any, query: str, collection: str = "listeners") -> list[str]:
    result = api("GET", f"{collection}?{query}")
    assert result.status_code == 200, result.text
    return [each["name"] for each in result.json[collection]]


LISTS = [  # query, names in their order
    ("", NAMES),
    ("name=two", ("two",)),
    ("name=TWO", ()),
    ("protocol_port=102", ("three",)),
    ("admin_state_up=True", ("two", "four")),
    ("admin_state_up=yes", ("two", "four")),
    ("admin_state_up=banana", ("one", "three", "five")),
    ("admin_state_up=t", ("one", "three", "five")),
    ("enabled=1", ("two", "four")),
    ("admin_state_up=false&protocol=TCP&name=one", ("one",)),
    ("project_id=lists", NAMES),
    ("project_id=nowhere", ()),
    ("tags=a", ("one", "two", "five")),
    ("tags=a,b", ("two", "five")),
    ("tags=a&tags=b", ("two", "five")),
    ("tags-any=a,c", ("one", "two", "three", "five")),
    ("not-tags=a,b", ("one", "three", "four")),
    ("not-tags-any=a,c", ("four",)),
    ("tags=b&not-tags-any=c", ("two",)),
    ("tags=", ()),
    ("sort=name", ("five", "four", "one", "three", "two")),
    ("sort=name:desc", ("two", "three", "one", "four", "five")),
    ("sort=admin_state_up:DESC,protocol_port:desc", ("four", "two", "five", "three", "one")),
    ("sort_key=admin_state_up,name&sort_dir=desc", ("four", "two", "five", "one", "three")),
    ("sort_key=name&sort_dir=desc,asc", ("two", "three", "one", "four", "five")),
    ("sort=&sort_key=&sort_dir=", NAMES),
    ("sort=name&sort_key=protocol_port", ("five", "four", "one", "three", "two")),
    ("sort=connection_limit", ("two", "four", "one", "three", "five")),
    ("limit=2", NAMES[:2]),
    ("limit=0", NAMES),
    ("limit=-1", NAMES),
    ("limit=infinite", NAMES),
    ("page_reverse=true", NAMES),
]


@pytest.mark.parametrize(("query", "expected"), LISTS, ids=[query for query, _ in LISTS])
def test_list(api: Any, five: dict[str, str], query: str, expected: tuple[str, ...]) -> None:
    assert names(api, query) == list(expected)


BAD = [  # query, which of the two shapes
    ("bogus=1", "faultstring"),
    ("name=a&name=b", "faultstring"),
    ("tenant_id=lists", "faultstring"),
    ("loadbalancers=1", "faultstring"),
    ("l7policies=1", "faultstring"),
    ("protocol_port=abc", "faultstring"),
    ("protocol_port=99999999999999999999999", "faultstring"),
    ("=1", "faultstring"),
    ("name=%00", "faultstring"),
    ("sort=bogus", "faultstring"),
    ("sort=name,", "faultstring"),
    ("sort=tags", "faultstring"),
    ("sort_key=bogus", "faultstring"),
    ("marker=6dd1b2f8-1111-4111-8111-111111111111", "faultstring"),
    ("marker=", "faultstring"),
    ("marker=nonsense", "faultstring"),
    ("sort=name:sideways", "description"),
    ("sort=name:asc:desc", "description"),
    ("sort_key=name&sort_dir=x", "description"),
    ("limit=many", "description"),
    ("limit=", "description"),
    ("limit=1&limit=2", "description"),
    ("marker=a&marker=b", "description"),
    ("name=%ff", "description"),
]


@pytest.mark.parametrize(("query", "shape"), BAD, ids=[query for query, _ in BAD])
def test_bad_query(api: Any, five: dict[str, str], query: str, shape: str) -> None:
    result = api("GET", f"listeners?{query}")
    assert result.status_code == 400
    assert result.json[shape]


def test_loadbalancer_id_filters_children_only(api: Any, five: dict[str, str]) -> None:
    (balancer,) = api.ids("loadbalancers?name=lists")
    assert names(api, f"loadbalancer_id={balancer}") == list(NAMES)
    assert names(api, f"load_balancer_id={balancer}") == list(NAMES)
    assert api("GET", f"loadbalancers?loadbalancer_id={balancer}").status_code == 400


def test_fields(api: Any, five: dict[str, str]) -> None:
    found = api("GET", "listeners?name=one&fields=name&fields=tenant_id&fields=bogus").json["listeners"]
    assert found == [{"name": "one", "tenant_id": "lists"}]
    assert api("GET", "listeners?name=one&fields=id,name").json["listeners"] == [{}]
    assert api("GET", f"listeners/{five['one']}?fields=name").json == {"listener": {"name": "one"}}


def links(api: Any, query: str) -> dict[str, str]:
    found = api("GET", f"listeners?{query}", host="lb.example").json["listeners_links"]
    assert all(set(each) == {"href", "rel"} for each in found)
    return {each["rel"]: each["href"] for each in found}


def test_links(api: Any, five: dict[str, str]) -> None:
    base = "http://lb.example/v2/lbaas/listeners"
    assert links(api, "") == {}
    assert links(api, "limit=0") == {}
    assert links(api, "limit=2") == {"next": f"{base}?limit=2&marker={five['two']}"}
    assert links(api, f"limit=2&sort=name&marker={five['four']}") == {
        "previous": f"{base}?limit=2&sort=name&marker={five['one']}&page_reverse=True",
        "next": f"{base}?limit=2&sort=name&marker={five['three']}",
    }
    assert links(api, f"limit=2&marker={five['five']}") == {}


def follow(api: Any, query: str, rel: str) -> list[str]:
    """Every name met by following the links."""
    seen = []
    for _ in range(20):
        result = api("GET", f"listeners?{query}").json
        seen += [each["name"] for each in result["listeners"]]
        found = [each["href"] for each in result["listeners_links"] if each["rel"] == rel]
        if not found:
            return seen
        query = found[0].partition("?")[2]
    raise AssertionError("the links lead nowhere")


SORTS = st.sampled_from(("", "sort=name", "sort=connection_limit:desc", "sort_key=admin_state_up,name&sort_dir=desc"))


@settings(deadline=None, max_examples=40)
@given(limit=st.integers(1, 6), sort=SORTS, more=st.sampled_from(("", "&tags-any=a,b", "&admin_state_up=false")))
def test_links_lead_through_the_whole_list_and_keep_what_was_asked(
    api: Any, five: dict[str, str], limit: int, sort: str, more: str
) -> None:
    whole = names(api, f"{sort}{more}")
    assert follow(api, f"limit={limit}&{sort}{more}", "next") == whole


@settings(deadline=None, max_examples=40)
@given(limit=st.integers(1, 6), sort=SORTS, start=st.sampled_from(NAMES))
def test_the_page_before_ends_where_the_marker_stands(
    api: Any, five: dict[str, str], limit: int, sort: str, start: str
) -> None:
    whole = names(api, sort)
    before = whole[: whole.index(start)]
    assert names(api, f"{sort}&limit={limit}&marker={five[start]}&page_reverse=True") == before[-limit:]
    after = whole[whole.index(start) + 1 :]
    assert names(api, f"{sort}&limit={limit}&marker={five[start]}") == after[:limit]


def test_limits_beyond_the_largest_are_cut(fresh: Any) -> None:
    api = fresh(pagination_max_limit=2)
    for _ in range(3):
        api.make("loadbalancers")
    assert len(api.ids("loadbalancers?limit=100")) == 2
    assert len(api.ids("loadbalancers")) == 2
    assert len(api.ids("loadbalancers?limit=0")) == 3


@pytest.mark.parametrize("most", ["infinite", "-1", "0"])
def test_an_operator_may_set_no_limit(fresh: Any, most: str) -> None:
    api = fresh(pagination_max_limit=most)
    for _ in range(3):
        api.make("loadbalancers")
    answer = api("GET", "loadbalancers").json
    assert (len(answer["loadbalancers"]), answer["loadbalancers_links"]) == (3, [])
    assert len(api.ids("loadbalancers?limit=2")) == 2


def test_switches(fresh: Any) -> None:
    api = fresh(
        allow_filtering=False, allow_sorting=False, allow_pagination=False, allow_field_selection=False,
        base_uri="https://lb.example/",
    )  # fmt: skip
    for name in ("b", "a"):
        api.make("loadbalancers", name=name)
    result = api("GET", "loadbalancers?bogus=1&name=a&sort=bogus&limit=1&marker=x&fields=name&tags=x").json
    assert [each["name"] for each in result["loadbalancers"]] == ["b", "a"]
    assert "loadbalancers_links" not in result
    assert result["loadbalancers"][0]["id"]
    href = api("GET", "/load-balancer/").json["versions"][0]["links"][0]["href"]
    assert href == "https://lb.example/load-balancer/v2"


def test_members_and_rules_are_listed_below_their_parents(api: Any) -> None:
    balancer = api.make("loadbalancers")
    pools = [
        api.make("pools", loadbalancer_id=balancer["id"], protocol="TCP", lb_algorithm="ROUND_ROBIN")["id"]
        for _ in range(2)
    ]
    for at, pool in enumerate(pools):
        api.make(f"pools/{pool}/members", name=f"of {at}", address="198.18.0.9", protocol_port=80)
    found = api("GET", f"pools/{pools[1]}/members?address=198.18.0.9").json
    assert [each["name"] for each in found["members"]] == ["of 1"]
    assert found["members_links"] == []
    assert api("GET", f"pools/{pools[1]}/members?project_id=other").json["members"] == []
