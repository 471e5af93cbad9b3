# SPDX-License-Identifier: Apache-2.0
"""What a heartbeat changes in the database, and what a silent host does."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update
from support.events import told

from ottava.health.detect import Detector
from ottava.health.record import Recorder
from ottava.model import errors, status
from ottava.model.amphora import Amphora
from ottava.model.health_monitor import HealthMonitor
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.store import amphorae, graphs, hosts, resources, statistics, tables, work
from ottava.store import engine as engines
from ottava.wire.heartbeat import Counters, Facts, Heartbeat, ListenerReport, PoolReport, Report

FACTS = Facts(hostname="host-1", haproxy=(2, 6, 12), nofile=20000, cpus=2)


class Ward:
    """Load balancers that were applied, and a recorder of what hosts say of them."""

    def __init__(self, folder: Path) -> None:
        self.engine = engines.create_engine(f"sqlite:///{folder}/ottava.sqlite")
        engines.upgrade(self.engine)
        self.woken: list[bool] = []
        self.recorder = Recorder(self.engine, 60.0, lambda: self.woken.append(True))
        self.sequence = 0

    def admit(self, host: str = "host-1") -> tuple[str, str]:
        """A monitored load balancer with one member, in force on one amphora; their ids."""
        id, amphora_id = str(uuid.uuid4()), str(uuid.uuid4())
        common = {
            "project_id": "project", "created_at": engines.timestamp(), "generation": 1,
            "provisioning_status": status.ACTIVE,
        }  # fmt: skip
        pool = Pool(id=f"p{id[1:]}", loadbalancer_id=id, protocol="HTTP", lb_algorithm="ROUND_ROBIN", **common)
        with engines.writing(self.engine) as conn:
            resources.insert_many(
                conn,
                [
                    LoadBalancer(id=id, **common),
                    pool,
                    Listener(
                        id=f"l{id[1:]}", loadbalancer_id=id, protocol="HTTP", protocol_port=80,
                        default_pool_id=pool.id, **common,
                    ),
                    Member(
                        id=f"m{id[1:]}", loadbalancer_id=id, pool_id=pool.id, address="198.18.64.9",
                        protocol_port=80, **common,
                    ),
                    HealthMonitor(
                        id=f"h{id[1:]}", loadbalancer_id=id, pool_id=pool.id, type="TCP", delay=1, timeout=1,
                        max_retries=1, **common,
                    ),
                ],
            )  # fmt: skip
            amphorae.place(conn, Amphora(id=amphora_id, loadbalancer_id=id, host=host))
        self.rest()
        return id, amphora_id

    def rest(self) -> None:
        """Nothing is due any more."""
        while claim := work.claim(self.engine, "me", 30):
            with engines.writing(self.engine) as conn:
                work.finish(conn, claim, claim.generation)

    def report(self, id: str, amphora_id: str, member: str = "UP", **more: object) -> Report:
        pool = PoolReport("DOWN" if member == "DOWN" else "UP", {f"m{id[1:]}": member})
        facts: dict[str, object] = {
            "amphora_id": amphora_id, "loadbalancer_id": id, "epoch": 1, "generation": 1, "digest": "d",
            "running": True, "listeners": {f"l{id[1:]}": ListenerReport("OPEN", Counters(1, 2, 3, 4, 5))},
            "pools": {f"p{id[1:]}:l{id[1:]}": pool},
        }  # fmt: skip
        return Report(**(facts | more))

    def hear(self, *reports: Report, host: str = "host-1", started: float = 1.0, **more: object) -> bool:
        self.sequence += 1
        wish = {"sequence": self.sequence} | more
        beat = Heartbeat(
            host=host, url=f"https://{host}.invalid:9443", started=started, facts=FACTS, reports=reports, **wish
        )
        return self.recorder.record([beat])[0]

    def graph(self, id: str):
        with engines.reading(self.engine) as conn:
            return graphs.load(conn, id)

    def due(self) -> set[str]:
        found = set()
        while claim := work.claim(self.engine, "me", 30):
            found.add(claim.loadbalancer_id)
            with engines.writing(self.engine) as conn:
                work.finish(conn, claim, claim.generation)
        return found

    def fall_silent(self, *names: str) -> None:
        with engines.writing(self.engine) as conn:
            conn.execute(update(tables.host).where(tables.host.c.name.in_(names)).values(last_seen=0.0))


@pytest.fixture
def ward(tmp_path) -> Iterator[Ward]:
    ward = Ward(tmp_path)
    yield ward
    ward.engine.dispose()


class TestRecord:
    def test_statuses_and_counters_are_written(self, ward):
        id, amphora_id = ward.admit()
        ward.hear(ward.report(id, amphora_id))
        graph = ward.graph(id)
        assert {each.operating_status for each in graph.members.values()} == {status.ONLINE}
        assert graph.load_balancer.operating_status == status.ONLINE
        with engines.reading(ward.engine) as conn:
            assert statistics.of_load_balancer(conn, id) == Counters(1, 2, 3, 4, 5)
            assert hosts.get(conn, "host-1").url == "https://host-1.invalid:9443"

    def test_a_member_that_fails_shows_all_the_way_up(self, ward):
        id, amphora_id = ward.admit()
        ward.hear(ward.report(id, amphora_id))
        ward.hear(ward.report(id, amphora_id, "DOWN"), partial=True)
        graph = ward.graph(id)
        assert {each.operating_status for each in graph.members.values()} == {status.ERROR}
        assert graph.load_balancer.operating_status == status.ERROR
        assert ward.due() == set()

    def test_an_older_heartbeat_changes_nothing(self, ward):
        id, amphora_id = ward.admit()
        ward.hear(ward.report(id, amphora_id), sequence=5)
        ward.hear(ward.report(id, amphora_id, "DOWN"), sequence=4)
        ward.hear(ward.report(id, amphora_id, "DOWN"), sequence=9, started=0.5)
        assert ward.graph(id).load_balancer.operating_status == status.ONLINE
        ward.hear(ward.report(id, amphora_id, "DOWN"), sequence=1, started=2.0)
        assert ward.graph(id).load_balancer.operating_status == status.ERROR

    def test_a_partial_one_after_a_gap_asks_for_everything(self, ward):
        ward.hear(sequence=1)
        assert not ward.hear(sequence=2, partial=True)
        assert ward.hear(sequence=4, partial=True)
        assert not ward.hear(sequence=5)

    @pytest.mark.parametrize("more", [{"running": False}, {"fault": "the bridge is gone"}, {"generation": 0}], ids=str)
    def test_what_is_not_as_it_was_applied_is_due(self, ward, more):
        id, amphora_id = ward.admit()
        other = ward.admit()
        ward.hear(ward.report(id, amphora_id), ward.report(*other))
        ward.rest()
        ward.hear(ward.report(id, amphora_id, **more), ward.report(*other))
        assert ward.due() == {id}
        assert ward.woken

    def test_an_amphora_that_vanished_is_due(self, ward):
        id, amphora_id = ward.admit()
        ward.hear(ward.report(id, amphora_id))
        ward.rest()
        ward.hear()
        assert ward.due() == {id}

    def test_while_a_newer_wish_is_applied_nothing_is_amiss(self, ward):
        id, amphora_id = ward.admit()
        ward.hear(ward.report(id, amphora_id))
        ward.rest()
        with engines.writing(ward.engine) as conn:
            work.touch(conn, id)
        claim = work.claim(ward.engine, "me", 30)
        ward.hear(ward.report(id, amphora_id, running=False))
        with engines.writing(ward.engine) as conn:
            work.finish(conn, claim, 2)
        assert ward.due() == set()

    def test_a_new_host_and_one_that_is_back_end_the_waiting(self, ward):
        id, _ = ward.admit()
        for _ in range(2):
            with engines.writing(ward.engine) as conn:
                work.touch(conn, id)
            claim = work.claim(ward.engine, "me", 30)
            with engines.writing(ward.engine) as conn:
                work.postpone(conn, claim, 1000, "no host is alive")
            assert ward.due() == set()
            ward.hear(host="host-2")
            assert ward.due() == {id}
            ward.fall_silent("host-2")

    def test_reports_of_amphorae_that_are_elsewhere_are_passed_over(self, ward):
        id, amphora_id = ward.admit("host-1")
        ward.hear(ward.report(id, amphora_id, "DOWN"), host="host-2")
        assert ward.graph(id).load_balancer.operating_status == status.OFFLINE


class TestThread:
    def test_all_that_are_sent_at_once_are_answered(self, ward):
        stop = threading.Event()
        thread = threading.Thread(target=ward.recorder.run, args=(stop,))
        thread.start()
        futures = [
            ward.recorder.submit(Heartbeat(host=f"host-{number}", url="https://x.invalid", started=1.0, sequence=1))
            for number in range(300)
        ]
        assert not any(future.result(30) for future in futures)
        stop.set()
        ward.recorder.close()
        thread.join()
        with engines.reading(ward.engine) as conn:
            assert len(hosts.all(conn)) == 300

    def test_a_database_that_does_not_answer_is_told_to_the_sender(self, ward, tmp_path):
        stop = threading.Event()
        broken = Recorder(engines.create_engine(f"sqlite:///{tmp_path}/empty.sqlite"), 60.0)
        thread = threading.Thread(target=broken.run, args=(stop,))
        thread.start()
        future = broken.submit(Heartbeat(host="host-1", url="https://x.invalid", started=1.0, sequence=1))
        with pytest.raises(errors.Unavailable):
            future.result(30)
        stop.set()
        broken.close()
        thread.join()


class TestDetect:
    def test_a_silent_host_makes_what_it_carries_due_once(self, ward):
        mine, other = ward.admit("host-1"), ward.admit("host-2")
        ward.hear(ward.report(*mine), host="host-1")
        ward.hear(ward.report(*other), host="host-2")
        ward.rest()
        detector = Detector(ward.engine, 60.0, 0.5)
        assert detector.look().silent == frozenset()
        ward.fall_silent("host-1")
        assert "host-1" in "".join(detector.look().sentences)
        assert ward.due() == {mine[0]}
        detector.look()
        assert ward.due() == set()

    def test_when_too_many_fall_silent_nothing_is_replaced_until_some_are_back(self, ward):
        names = [f"host-{number}" for number in range(4)]
        ids = {name: ward.admit(name) for name in names}
        for name in names:
            ward.hear(ward.report(*ids[name]), host=name)
        ward.rest()
        detector = Detector(ward.engine, 60.0, 0.5)
        ward.fall_silent(*names[:3])
        losses = detector.look()
        assert len(losses.silent) == 3
        assert losses.replace == frozenset()
        ward.rest()
        ward.hear(ward.report(*ids[names[0]]), host=names[0])
        ward.rest()
        assert detector.look().replace == frozenset(names[1:3])
        assert {ids[name][0] for name in names[1:3]} <= ward.due()

    def test_amphorae_show_that_their_hosts_are_lost(self, ward):
        names = [f"host-{number}" for number in range(4)]
        ids = {name: ward.admit(name) for name in names}
        for name in names:
            ward.hear(ward.report(*ids[name]), host=name)
        ward.fall_silent("host-0")
        detector = Detector(ward.engine, 60.0, 0.5)
        detector.look()
        assert statuses(ward) == {"host-0": "ERROR"} | dict.fromkeys(names[1:], "ALLOCATED")
        ward.fall_silent(*names[:3])
        detector.look()
        assert statuses(ward) == dict.fromkeys(names[:3], "FAILOVER_STOPPED") | {"host-3": "ALLOCATED"}
        for name in names:
            ward.hear(ward.report(*ids[name]), host=name)
        Detector(ward.engine, 60.0, 0.5).look()  # one that knows nothing of what was before
        assert statuses(ward) == dict.fromkeys(names, "ALLOCATED")

    def test_the_first_host_heard_of_after_nobody_was_does_not_make_the_others_look_lost(self, ward):
        names = ["host-1", "host-2"]
        ids = {name: ward.admit(name) for name in names}
        for name in names:
            ward.hear(ward.report(*ids[name]), host=name)
        ward.fall_silent(*names)
        detector = Detector(ward.engine, 60.0, 0.5)
        assert detector.look().replace == frozenset()
        ward.hear(ward.report(*ids["host-1"]), host="host-1")
        assert detector.look().silent == frozenset()
        ward.fall_silent("host-2")
        assert detector.look().replace == {"host-2"}


def statuses(ward):
    """The statuses of the amphorae, by their hosts."""
    with engines.reading(ward.engine) as conn:
        return dict(conn.execute(select(tables.amphora.c.host, tables.amphora.c.status)).tuples().all())


class TestEvents:
    def test_changes_are_told_and_nothing_else(self, ward):
        id, amphora_id = ward.admit()
        ward.hear(ward.report(id, amphora_id))
        before = told(ward.engine, id)
        assert ("seen", f"m{id[1:]}", "member ONLINE") in before
        for _ in range(3):
            ward.hear(ward.report(id, amphora_id))
        assert told(ward.engine, id) == before
        ward.hear(ward.report(id, amphora_id, member="DOWN"))
        news = told(ward.engine, id)[len(before) :]
        assert ("seen", f"m{id[1:]}", "member ERROR") in news
        assert ("seen", id, "load balancer ERROR") in news
        assert len(news) == 3

    def test_no_more_are_kept_than_asked_for(self, ward):
        id, amphora_id = ward.admit()
        ward.recorder = Recorder(ward.engine, 60.0, events_kept=4)
        for state in ("UP", "DOWN") * 4:
            ward.hear(ward.report(id, amphora_id, member=state))
        found = told(ward.engine, id)
        assert len(found) == 4
        assert found[-3:].count(("seen", id, "load balancer ERROR")) == 1

    def test_a_lost_amphora_is_told_once(self, ward):
        mine, other = ward.admit("host-1"), ward.admit("host-2")
        ward.hear(ward.report(*mine), host="host-1")
        ward.hear(ward.report(*other), host="host-2")
        detector = Detector(ward.engine, 60.0, 0.5)
        detector.look()
        ward.fall_silent("host-1")
        for _ in range(2):
            detector.look()
        lost = ("lost", mine[1], "host host-1 was not heard of for too long")
        assert told(ward.engine, mine[0]).count(lost) == 1
        assert all(what != "lost" for what, _, _ in told(ward.engine, other[0]))
