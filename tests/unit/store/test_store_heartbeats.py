# SPDX-License-Identifier: Apache-2.0
"""Hosts, amphorae, heartbeats and statistics."""

import msgspec
import pytest
from support.threads import together
from support.trees import make

from ottava.model.amphora import Amphora
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.store import amphorae, heartbeats, hosts, resources, statistics
from ottava.store import engine as engines
from ottava.store.heartbeats import Receipt
from ottava.wire.heartbeat import Counters, Facts, Heartbeat, ListenerReport, PoolReport, Report

REPORT = Report(
    amphora_id="amphora",
    loadbalancer_id="lb",
    epoch=1,
    generation=2,
    digest="d",
    running=True,
    listeners={"listener": ListenerReport("OPEN", Counters(1, 20, 300, 4, 5))},
    pools={"pool:listener": PoolReport("UP", {"member": "UP"})},
)


@pytest.fixture(autouse=True)
def placed(engine):
    with engines.writing(engine) as conn:
        resources.insert_many(conn, [make(LoadBalancer), make(Listener)])
        amphorae.place(conn, Amphora(id="amphora", loadbalancer_id="lb", host="h"))


def beat(engine, *reports, sequence=1, started=1.0, host="h", partial=False, facts=None):
    heartbeat = Heartbeat(
        host=host,
        url="https://h",
        started=started,
        sequence=sequence,
        partial=partial,
        facts=facts or Facts(),
        reports=reports,
    )
    with engines.writing(engine) as conn:
        (receipt,) = heartbeats.record(conn, [heartbeat])
    return receipt


def reports(engine, id="lb"):
    with engines.reading(engine) as conn:
        return heartbeats.reports(conn, id)


def total(engine, listener="listener"):
    with engines.reading(engine) as conn:
        assert statistics.of_load_balancer(conn, "lb") == statistics.of_listener(conn, listener)
        return statistics.of_listener(conn, listener)


def test_what_changed_is_told_once(engine):
    said = Receipt(fresh=True, changed=frozenset({"lb"}))
    nothing_new = Receipt(fresh=True)
    assert beat(engine, REPORT, sequence=1) == said
    counted = msgspec.structs.replace(REPORT, listeners={"listener": ListenerReport("OPEN", Counters(9, 9, 9, 9, 9))})
    assert beat(engine, counted, sequence=2) == nothing_new
    down = msgspec.structs.replace(REPORT, pools={"pool:listener": PoolReport("DOWN", {"member": "DOWN"})})
    assert beat(engine, down, sequence=3) == said
    assert beat(engine, down, sequence=4) == nothing_new
    (kept,) = reports(engine)
    assert kept.pools == down.pools
    assert kept.listeners == {"listener": ListenerReport("OPEN")}


@pytest.mark.parametrize("stale", [(1.0, 5), (1.0, 4), (0.5, 9)])
def test_an_older_heartbeat_changes_nothing(engine, stale):
    beat(engine, REPORT, sequence=5)
    old = msgspec.structs.replace(REPORT, running=False)
    assert beat(engine, old, started=stale[0], sequence=stale[1]) == Receipt(fresh=False)
    assert reports(engine)[0].running


def test_a_restarted_agent_counts_from_one_again(engine):
    beat(engine, REPORT, sequence=5)
    assert beat(engine, REPORT, started=2.0, sequence=1).fresh


def test_everything_is_asked_for_when_something_may_have_been_missed(engine):
    assert beat(engine, REPORT, sequence=3, partial=True).full
    assert not beat(engine, REPORT, sequence=4, partial=True).full
    assert beat(engine, REPORT, sequence=6, partial=True).full
    assert not beat(engine, REPORT, sequence=9).full
    assert not beat(engine, REPORT, sequence=10, partial=True).full
    assert beat(engine, REPORT, started=2.0, sequence=1, partial=True).full


def test_an_amphora_that_is_not_reported_any_more_is_told(engine):
    beat(engine, REPORT, sequence=1)
    assert beat(engine, sequence=2, partial=True).changed == frozenset()
    assert beat(engine, sequence=3).changed == {"lb"}
    assert reports(engine) == []
    assert beat(engine, sequence=4).changed == frozenset()


@pytest.mark.parametrize(
    "wrong", [{"amphora_id": "unknown"}, {"loadbalancer_id": "other"}], ids=["unknown amphora", "other load balancer"]
)
def test_nobody_speaks_for_what_is_not_theirs(engine, wrong):
    assert beat(engine, msgspec.structs.replace(REPORT, **wrong)) == Receipt(fresh=True)
    assert beat(engine, REPORT, host="thief") == Receipt(fresh=True)
    assert reports(engine) == reports(engine, "other") == []
    assert total(engine) == Counters()


def test_a_silent_other_host_takes_nothing_away(engine):
    beat(engine, REPORT)
    assert beat(engine, host="other") == Receipt(fresh=True)
    assert len(reports(engine)) == 1


def test_hosts_are_remembered_with_their_facts(engine):
    beat(engine, facts=Facts(haproxy=(2, 6, 12), cpus=2))
    with engines.writing(engine) as conn:
        hosts.seen(conn, "a", "https://a", {"cpus": 1})
        first, second = hosts.all(conn)
        assert (first.name, first.url, first.facts) == ("a", "https://a", {"cpus": 1})
        assert msgspec.convert(second.facts, Facts) == Facts(haproxy=(2, 6, 12), cpus=2)
        assert hosts.get(conn, "h") == second
        assert hosts.get(conn, "none") is None
        assert hosts.loads(conn) == {"h": 1}
        hosts.forget(conn, "a")
        assert hosts.all(conn) == [second]


def test_amphorae_are_on_the_books(engine):
    with engines.writing(engine) as conn:
        amphorae.place(conn, Amphora(id="a", loadbalancer_id="lb2", host="h", created_at="2026-01-01T00:00:00.000000"))
        assert amphorae.all_ids(conn) == {"amphora", "a"}
        assert [each.id for each in amphorae.on_host(conn, "h")] == ["a", "amphora"]
        assert amphorae.of(conn, "lb")[0].created_at
        amphorae.set_status(conn, ["a"], "ERROR")
        assert [each.status for each in amphorae.on_host(conn, "h")] == ["ERROR", "ALLOCATED"]
        amphorae.forget(conn, "a")
        amphorae.forget(conn, "a")
        assert amphorae.all_ids(conn) == {"amphora"}


def test_totals_are_sums_that_survive_their_amphorae(engine):
    with engines.writing(engine) as conn:
        amphorae.place(conn, Amphora(id="second", loadbalancer_id="lb", host="h"))
    second = msgspec.structs.replace(
        REPORT, amphora_id="second", listeners={"listener": ListenerReport("OPEN", Counters(2, 1, 1, 1, 1))}
    )
    beat(engine, REPORT, second)
    assert total(engine) == Counters(3, 21, 301, 5, 6)
    with engines.writing(engine) as conn:
        amphorae.set_status(conn, ["second"], "ERROR")
    assert total(engine) == Counters(1, 21, 301, 5, 6)
    for gone in ("second", "amphora"):
        with engines.writing(engine) as conn:
            amphorae.forget(conn, gone)
    assert total(engine) == Counters(0, 21, 301, 5, 6)
    with engines.writing(engine) as conn:
        resources.remove(conn, Listener, ["listener"])
    assert total(engine) == Counters()


def test_a_listener_that_does_not_exist_counts_nothing(engine):
    beat(engine, msgspec.structs.replace(REPORT, listeners={"gone": ListenerReport("OPEN", Counters(1, 1, 1, 1, 1))}))
    assert total(engine, "gone") == Counters()


def test_an_amphora_that_is_struck_off_while_it_is_reported_leaves_nothing(engine):
    def report():
        for sequence in range(1, 30):
            running = msgspec.structs.replace(REPORT, running=bool(sequence % 2))
            engines.retrying(
                engine,
                lambda conn: heartbeats.record(
                    conn,
                    [Heartbeat(host="h", url="u", started=1.0, sequence=sequence, partial=True, reports=(running,))],  # noqa: B023
                ),
            )

    together(report, lambda: engines.retrying(engine, lambda conn: amphorae.forget(conn, "amphora")))
    assert reports(engine) == []
    assert total(engine).active_connections == 0
