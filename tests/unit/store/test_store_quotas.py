# SPDX-License-Identifier: Apache-2.0
"""Quotas: as many as allowed, not one more, however many ask at once."""

import uuid

import pytest
from sqlalchemy import func, select
from support.threads import together
from support.trees import make

from ottava.model import errors
from ottava.model.graph import RESOURCES
from ottava.model.l7 import L7Rule
from ottava.model.load_balancer import LoadBalancer
from ottava.model.pool import Pool
from ottava.model.quota import UNLIMITED, Quota
from ottava.store import engine as engines
from ottava.store import quotas, resources, tables


def create(engine, project="p", number=1, defaults=None):
    def job(conn):
        quotas.reserve(conn, project, {"loadbalancer": number}, {} if defaults is None else defaults)
        resources.insert_many(
            conn, [make(LoadBalancer, id=str(uuid.uuid4()), project_id=project) for _ in range(number)]
        )

    engines.retrying(engine, job)


def count(engine, project="p"):
    table = tables.TABLES["loadbalancer"]
    with engines.reading(engine) as conn:
        return conn.execute(select(func.count()).where(table.c.project_id == project)).scalar_one()


@pytest.mark.parametrize("own", [None, 7])
def test_exactly_as_many_as_allowed_are_created_at_once(engine, own):
    if own:
        with engines.writing(engine) as conn:
            quotas.set(conn, "p", {"loadbalancer": own})
    refused = []

    def greedy():
        for _ in range(4):
            try:
                create(engine, defaults={"loadbalancer": 5})
            except errors.QuotaMet as error:
                refused.append(error.facts["resource"])

    together(greedy, times=4)
    assert count(engine) == (own or 5)
    assert refused == ["Load Balancer"] * (16 - (own or 5))


def test_a_whole_tree_is_refused_or_taken(engine):
    create(engine, number=3, defaults={"loadbalancer": 5})
    with pytest.raises(errors.QuotaMet):
        create(engine, number=3, defaults={"loadbalancer": 5})
    create(engine, number=2, defaults={"loadbalancer": 5})
    assert count(engine) == 5


def test_projects_do_not_count_for_each_other(engine):
    create(engine, "p", 5, {"loadbalancer": 5})
    create(engine, "q", 5, {"loadbalancer": 5})


@pytest.mark.parametrize("defaults", [{}, {"loadbalancer": UNLIMITED}, {"loadbalancer": 1}])
def test_unlimited_is_any_number(engine, defaults):
    if defaults.get("loadbalancer") == 1:
        with engines.writing(engine) as conn:
            quotas.set(conn, "p", {"loadbalancer": UNLIMITED})
    create(engine, number=20, defaults=defaults)


def test_zero_is_none(engine):
    with pytest.raises(errors.QuotaMet):
        create(engine, defaults={"loadbalancer": 0})


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_kind_is_limited_by_either_of_its_names(engine, kind):
    cls = RESOURCES[kind]
    for name in {cls.kind.name, cls.kind.policy}:
        with engines.writing(engine) as conn:
            quotas.reserve(conn, "p", {name: 2}, {cls.kind.policy: 2})
            with pytest.raises(errors.QuotaMet) as refused:
                quotas.reserve(conn, "p", {name: 3}, {cls.kind.policy: 2})
            assert refused.value.facts == {"resource": cls.kind.word}


def test_the_first_kind_of_which_there_would_be_too_many_is_named(engine):
    with engines.writing(engine) as conn, pytest.raises(errors.QuotaMet) as refused:
        quotas.reserve(conn, "p", {"pool": 1, "rule": 2}, {"pool": 1, "l7rule": 1})
    assert refused.value.facts == {"resource": L7Rule.kind.word}


def test_what_is_to_be_deleted_counts_until_it_is_gone(engine):
    with engines.writing(engine) as conn:
        resources.insert_many(conn, [make(LoadBalancer), make(Pool, provisioning_status="PENDING_DELETE")])
        assert quotas.used(conn, "project", "pool") == 1
        resources.remove(conn, Pool, ["pool"])
        assert quotas.used(conn, "project", "pool") == 0


def test_limits_are_set_and_reset(engine):
    with engines.writing(engine) as conn:
        assert quotas.get(conn, "p") == Quota(project_id="p")
        assert quotas.all(conn) == []
        assert not quotas.reset(conn, "p")
        assert quotas.set(conn, "p", {"pool": 3, "l7rule": 0}) == Quota(project_id="p", pool=3, l7rule=0)
        assert quotas.set(conn, "p", {"pool": None, "member": 4}) == Quota(project_id="p", l7rule=0, member=4)
        quotas.set(conn, "a", {})
        assert quotas.all(conn) == [Quota(project_id="a"), Quota(project_id="p", l7rule=0, member=4)]
        assert quotas.all(conn, "a") == [Quota(project_id="a")]
        assert quotas.reset(conn, "p")
        assert quotas.get(conn, "p") == Quota(project_id="p")


def test_a_project_that_created_something_is_known(engine):
    create(engine)
    with engines.reading(engine) as conn:
        assert quotas.all(conn) == [Quota(project_id="p")]
