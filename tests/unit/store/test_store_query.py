# SPDX-License-Identifier: Apache-2.0
"""Lists against a model in Python that does the same in the plainest way."""

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import databases
from support.trees import make

from ottava.model import errors
from ottava.model.attribute import attributes
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.store import engine as engines
from ottava.store import query, resources
from ottava.store.query import Query

WORDS = ("", "A", "a", "a ", "b", "\u00e9", "\U0001f600", "%", "it's")
TIMES = tuple(f"2026-01-01T00:00:00.00000{number}" for number in range(3))
TAGS = ("x", "X", "y", "\u00e9")
POOLS = ("pool0", "pool1")
SORTED_BY = (
    "name",
    "project_id",
    "weight",
    "monitor_port",
    "monitor_address",
    "backup",
    "updated_at",
    "created_at",
    "id",
)
quickly = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def number(place):
    """The id of the member at a place; ids do not ascend with places."""
    return f"{place * 11 % 21:02}"


def seldom(strategy, usual):
    """Mostly the usual: when everything is filtered at once, nothing is left to look at."""
    return st.sampled_from((0, 0, 0, 1)).flatmap(lambda chance: strategy if chance else st.just(usual))


def members():
    one = st.fixed_dictionaries(
        {
            "name": st.sampled_from(WORDS),
            "project_id": st.sampled_from(("p", "q")),
            "pool_id": st.sampled_from(POOLS),
            "created_at": st.sampled_from(TIMES),
            "updated_at": st.sampled_from((None, *TIMES)),
            "monitor_port": st.sampled_from((None, 1, 10, 65535)),
            "monitor_address": st.sampled_from((None, "192.0.2.1", "2001:db8::1")),
            "weight": st.sampled_from((0, 1, 256)),
            "backup": st.booleans(),
            "tags": st.sets(st.sampled_from(TAGS)).map(sorted).map(tuple),
        }
    )
    return st.lists(one, min_size=2, max_size=20).map(
        lambda found: [make(Member, id=number(place), **each) for place, each in enumerate(found)]
    )


def queries():
    filters = st.dictionaries(
        st.sampled_from(("name", "project_id", "weight", "backup", "created_at", "monitor_port")), st.none(), max_size=2
    ).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {
                name: {
                    "name": st.sampled_from(WORDS),
                    "project_id": st.sampled_from(("p", "q", "r")),
                    "weight": st.sampled_from((0, 1, "256", 9_000_000_000_000)),
                    "backup": st.sampled_from((True, "true", "0")),
                    "created_at": st.sampled_from(TIMES),
                    "monitor_port": st.sampled_from((1, "10")),
                }[name]
                for name in chosen
            }
        )
    )
    tags = seldom(st.lists(st.sampled_from((*TAGS, "none")), max_size=2).map(tuple), ())
    sort = st.lists(st.sampled_from(SORTED_BY), unique=True, max_size=3).flatmap(
        lambda names: st.tuples(*(st.tuples(st.just(name), st.booleans()) for name in names))
    )
    return st.builds(
        Query,
        filters=seldom(filters.map(lambda found: tuple(found.items())), ()),
        tags=tags,
        tags_any=tags,
        not_tags=tags,
        not_tags_any=tags,
        sort=sort,
        limit=st.none() | st.integers(1, 6),
        marker=st.none() | st.integers(0, 20).map(number),
        reverse=st.booleans(),
    )


def value(name, given):
    return attributes(Member)[name].scalar.query(given) if isinstance(given, str) else given


def matches(member, asked, scope):
    has = set(member.tags)
    return (
        all(getattr(member, name) == value(name, wanted) for name, wanted in asked.filters)
        and all(getattr(member, name) == wanted for name, wanted in scope.items())
        and has >= set(asked.tags)
        and (not asked.tags_any or bool(has & set(asked.tags_any)))
        and not (asked.not_tags and has >= set(asked.not_tags))
        and not has & set(asked.not_tags_any)
    )


def in_order(found, sort):
    """Stable sorts, the least significant key first; None before everything."""
    for name, descending in reversed((*sort, ("created_at", False), ("id", dict(sort).get("created_at", False)))):
        found = sorted(
            found,
            key=lambda each: (getattr(each, name) is not None, getattr(each, name)),
            reverse=descending,
        )
    return found


def expected(everything, asked, scope):
    """What a page should hold, by ids; None where the marker is refused."""
    marker = [
        each for each in everything if each.id == asked.marker and all(getattr(each, k) == v for k, v in scope.items())
    ]
    if asked.marker is not None and not marker:
        return None
    found = [each for each in everything if matches(each, asked, scope)]
    if marker:
        line = in_order([*(each for each in found if each is not marker[0]), marker[0]], asked.sort)
        place = line.index(marker[0])
        found = line[:place] if asked.reverse else line[place + 1 :]
    else:
        found = in_order(found, asked.sort)
    if asked.limit is not None:
        found = found[-asked.limit :] if marker and asked.reverse else found[: asked.limit]
    return [each.id for each in found]


def fill(engine, things):
    databases.clear(engine)
    with engines.writing(engine) as conn:
        resources.insert_many(conn, [make(LoadBalancer), *(make(Pool, id=id) for id in POOLS), *things])


@quickly
@given(
    members(),
    st.lists(queries(), min_size=4, max_size=10),
    st.sampled_from(({}, {"pool_id": "pool0"}, {"project_id": "q"})),
)
def test_a_page_is_what_the_model_says(engine, things, asked, scope):
    fill(engine, things)
    with engines.reading(engine) as conn:
        for each in asked:
            wanted = expected(things, each, scope)
            if wanted is None:
                with pytest.raises(errors.BadQuery):
                    query.page(conn, Member, each, scope)
                continue
            found = query.page(conn, Member, each, scope)
            assert [thing.id for thing, _ in found] == wanted
            assert all(thing in things for thing, _ in found)


@quickly
@given(members(), queries(), st.integers(1, 5))
def test_pages_one_after_another_are_the_whole_list(engine, things, asked, limit):
    fill(engine, things)
    whole = msgspec.structs.replace(asked, limit=None, marker=None, reverse=False)
    with engines.reading(engine) as conn:
        wanted = [thing.id for thing, _ in query.page(conn, Member, whole, {})]
        forward: list[str] = []
        step = msgspec.structs.replace(whole, limit=limit)
        while found := [thing.id for thing, _ in query.page(conn, Member, step, {})]:
            forward += found
            step = msgspec.structs.replace(step, marker=found[-1])
        assert forward == wanted
        backward: list[str] = wanted[-1:]
        while backward and len(backward) <= len(wanted):
            step = msgspec.structs.replace(whole, limit=limit, marker=backward[0], reverse=True)
            found = [thing.id for thing, _ in query.page(conn, Member, step, {})]
            if not found:
                break
            backward = found + backward
        assert backward == wanted


def trees():
    ids = st.sampled_from(range(3))
    policy = st.tuples(ids, ids, st.booleans(), st.sampled_from(("REDIRECT_TO_POOL", "REJECT")), st.integers(0, 2))
    return st.tuples(
        st.lists(st.none() | ids, min_size=3, max_size=3),
        st.lists(policy, max_size=4),
        st.lists(ids, max_size=5),
        st.sets(ids),
    )


@quickly
@given(trees())
@example(([None, None, 1], [(0, 0, True, "REDIRECT_TO_POOL", 1)], [], set()))
def test_relations_are_what_the_tree_says(engine, tree):
    defaults, policies, members, monitored = tree
    databases.clear(engine)
    pools = [make(Pool, id=f"pool{number}") for number in range(3)]
    listeners = [
        make(Listener, id=f"listener{number}", default_pool_id=None if pool is None else f"pool{pool}")
        for number, pool in enumerate(defaults)
    ]
    policies = [
        (make(
            L7Policy, id=f"policy{number}", listener_id=f"listener{listener}", admin_state_up=up, action=action,
            redirect_pool_id=f"pool{pool}" if action == "REDIRECT_TO_POOL" else None,
        ), rules)
        for number, (listener, pool, up, action, rules) in enumerate(policies)
    ]  # fmt: skip
    rules = [
        make(L7Rule, id=f"{policy.id}{number}", l7policy_id=policy.id)
        for policy, count in policies
        for number in range(count)
    ]
    members = [make(Member, id=f"member{number}", pool_id=f"pool{pool}") for number, pool in enumerate(members)]
    monitors = [make(HealthMonitor, id=f"monitor{pool}", pool_id=f"pool{pool}") for pool in sorted(monitored)]
    elsewhere = (make(LoadBalancer, id="other"), make(Listener, id="apart", loadbalancer_id="other"))
    everything = [
        make(LoadBalancer),
        *elsewhere,
        *pools,
        *listeners,
        *(each for each, _ in policies),
        *rules,
        *members,
        *monitors,
    ]
    with engines.writing(engine) as conn:
        resources.insert_many(conn, everything)

    def uses(listener, pool):
        return listener.default_pool_id == pool.id or any(
            policy.listener_id == listener.id and policy.redirect_pool_id == pool.id and policy.admin_state_up and count
            for policy, count in policies
        )

    wanted = {
        "lb": {"listeners": [each.id for each in listeners], "pools": [each.id for each in pools]},
        "other": {"listeners": ["apart"], "pools": []},
        **{
            pool.id: {
                "loadbalancers": ["lb"],
                "listeners": [each.id for each in listeners if uses(each, pool)],
                "members": [each.id for each in members if each.pool_id == pool.id],
                "healthmonitor_id": next((each.id for each in monitors if each.pool_id == pool.id), None),
            }
            for pool in pools
        },
        **{
            each.id: {
                "loadbalancers": ["lb"],
                "l7policies": [policy.id for policy, _ in policies if policy.listener_id == each.id],
            }
            for each in listeners
        },
        **{each.id: {"pools": [each.pool_id]} for each in monitors},
        **{each.id: {"rules": [rule.id for rule in rules if rule.l7policy_id == each.id]} for each, _ in policies},
    }
    with engines.reading(engine) as conn:
        found = {
            thing.id: relations
            for cls in (LoadBalancer, Pool, Listener, HealthMonitor, L7Policy)
            for thing, relations in query.page(conn, cls, Query(limit=100), {})
        }
        shown = {id: query.show(conn, type(thing), id)[1] for thing in everything if (id := thing.id) in wanted}
    assert found == wanted | {"apart": {"loadbalancers": ["other"], "l7policies": []}}
    assert shown == wanted


@pytest.mark.parametrize(
    ("asked", "fact"),
    [
        (Query(filters=(("tags", "x"),)), {"what": "filter", "value": "tags"}),
        (Query(filters=(("fault", "x"),)), {"what": "filter", "value": "fault"}),
        (Query(filters=(("bogus", "x"),)), {"what": "filter", "value": "bogus"}),
        (Query(filters=(("weight", "x"),)), {"what": "filter", "value": "x"}),
        (Query(sort=(("bogus", False),)), {"what": "sort_key", "value": "bogus"}),
        (Query(sort=(("tags", False),)), {"what": "sort_key", "value": "tags"}),
        (Query(marker="none"), {"what": "marker", "value": "none"}),
        (Query(marker="m"), {"what": "marker", "value": "m"}),
    ],
)
def test_what_cannot_be_asked_is_refused(engine, asked, fact):
    fill(engine, [make(Member, id="m", pool_id="pool1")])
    with engines.reading(engine) as conn, pytest.raises(errors.BadQuery) as refused:
        query.page(conn, Member, asked, {"pool_id": "pool0"})
    assert refused.value.facts == fact


def test_every_attribute_that_may_be_named_can_be(engine):
    things = (
        make(LoadBalancer),
        make(Listener),
        make(Pool),
        make(Member),
        make(HealthMonitor),
        make(L7Policy),
        make(L7Rule),
    )
    databases.clear(engine)
    with engines.writing(engine) as conn:
        resources.insert_many(conn, things)
        for thing in things:
            for name, attribute in attributes(type(thing)).items():
                if attribute.filterable:
                    value = getattr(thing, name)
                    filters = () if value is None else ((name, value),)
                    asked = Query(filters=filters, sort=((name, True),))
                    assert [each.id for each, _ in query.page(conn, type(thing), asked, {})] == [thing.id]
                    after = msgspec.structs.replace(asked, marker=thing.id)
                    assert query.page(conn, type(thing), after, {}) == []


def test_a_page_costs_the_same_few_statements_whatever_its_length(engine):
    from sqlalchemy import event

    fill(engine, [make(Member, id=f"{number:02}", pool_id=POOLS[number % 2], tags=TAGS) for number in range(20)])
    counted = []
    event.listen(engine, "before_cursor_execute", lambda *details: counted.append(details[2]))
    for limit in (1, 20):
        with engines.reading(engine) as conn:
            counted.clear()
            assert len(query.page(conn, Member, Query(limit=limit), {})) == limit
            assert len(counted) == 1
            query.page(conn, Member, Query(limit=limit, marker="00"), {})
            assert len(counted) == 3
