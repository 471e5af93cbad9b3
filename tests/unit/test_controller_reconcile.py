# SPDX-License-Identifier: Apache-2.0
"""The reconciler over a real database and agents in memory: whatever happens on the way, the world becomes the wish."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from support.events import told

from ottava.cloud.network.local import LocalNetwork
from ottava.controller import explain
from ottava.controller.memory_agents import MemoryAgents
from ottava.controller.reconcile import reconcile
from ottava.controller.settings import Settings
from ottava.controller.sweep import Sweep
from ottava.controller.turn import Tools
from ottava.model import status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.store import amphorae, graphs, hosts, resources, tables, work
from ottava.store import engine as engines
from ottava.store.addresses import Addresses
from ottava.wire.applied import Applied, Outcome
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Facts

FACTS = Facts(hostname="host", haproxy=(2, 6, 12), nofile=20000, cpus=2)


class Killed(BaseException):
    """The process dies here."""


class World:
    """One Ottava without processes: a database, agents in memory, and a controller that takes a turn when told."""

    def __init__(self, folder: Path, hosts_at_first: tuple[str, ...] = ("host-1",), **options: float) -> None:
        self.engine = engines.create_engine(f"sqlite:///{folder}/ottava.sqlite")
        engines.upgrade(self.engine)
        self.agents = MemoryAgents()
        self.network = LocalNetwork(("lan 198.18.64.0/24 fd00:0:0:77::/64",), Addresses(self.engine), "tc")
        wanted = {"retry_base": 0.0, "retry_cap": 0.0, "resync": 0.0, "orphan_grace": 0.0} | options
        self.tools = Tools(
            self.engine, self.network, self.agents, Settings(state_dir=folder, run_dir=folder, **wanted)
        )  # fmt: skip
        for name in hosts_at_first:
            self.appear(name)

    def appear(self, name: str) -> None:
        with engines.writing(self.engine) as conn:
            hosts.seen(conn, name, f"https://{name}.invalid:9443", FACTS)

    def fall_silent(self, name: str) -> None:
        with engines.writing(self.engine) as conn:
            conn.execute(update(tables.host).where(tables.host.c.name == name).values(last_seen=0.0))

    def create(self, members: int = 2) -> str:
        id = str(uuid.uuid4())
        vip = self.network.create_port(id, "project", "", network_id=self.network.networks()[0].id)
        common = {"project_id": "project", "created_at": engines.timestamp(), "generation": 1}
        balancer = LoadBalancer(
            id=id, name="web", vip_address=vip.address, vip_port_id=vip.port_id, vip_subnet_id=vip.subnet_id,
            vip_network_id=vip.network_id, **common,
        )  # fmt: skip
        pool = Pool(
            id=str(uuid.uuid4()), loadbalancer_id=id, protocol="HTTP", lb_algorithm="ROUND_ROBIN", **common
        )  # fmt: skip
        listener = Listener(
            id=str(uuid.uuid4()), loadbalancer_id=id, protocol="HTTP", protocol_port=80, default_pool_id=pool.id,
            **common,
        )  # fmt: skip
        crew = [self.member(id, pool.id, number, 1) for number in range(members)]
        with engines.writing(self.engine) as conn:
            resources.insert_many(conn, [balancer, pool, listener, *crew])
        return id

    def member(self, id: str, pool_id: str, number: int, generation: int) -> Member:
        return Member(
            id=str(uuid.uuid4()), loadbalancer_id=id, pool_id=pool_id, address=f"198.18.64.{100 + number}",
            protocol_port=8080, project_id="project", created_at=engines.timestamp(), generation=generation,
        )  # fmt: skip

    def add_member(self, id: str, number: int) -> None:
        with engines.writing(self.engine) as conn:
            graph = graphs.load(conn, id)
            if graph is None or graph.load_balancer.provisioning_status == status.PENDING_DELETE:
                return
            member = self.member(id, next(iter(graph.pools)), number, work.touch(conn, id))
            resources.insert(conn, member)
            graphs.set_provisioning(conn, [("loadbalancer", id, status.PENDING_UPDATE)], member.generation)

    def drop_member(self, id: str) -> None:
        with engines.writing(self.engine) as conn:
            graph = graphs.load(conn, id)
            if graph is None or not graph.members or graph.load_balancer.provisioning_status == status.PENDING_DELETE:
                return
            generation = work.touch(conn, id)
            wish = [("member", next(iter(graph.members)), status.PENDING_DELETE)]
            graphs.set_provisioning(conn, [*wish, ("loadbalancer", id, status.PENDING_UPDATE)], generation)

    def delete(self, id: str) -> None:
        with engines.writing(self.engine) as conn:
            if graphs.load(conn, id) is not None:
                generation = work.touch(conn, id)
                graphs.set_provisioning(conn, [("loadbalancer", id, status.PENDING_DELETE)], generation)

    def turn(self, held: Callable[[], bool] = lambda: True) -> bool:
        """One turn, if anything is due. A controller that was killed comes back and releases what it held."""
        claim = work.claim(self.engine, "me", 30)
        if claim is None:
            return False
        try:
            reconcile(self.tools, claim, held)
        except Killed:
            work.release_all(self.engine, "me")
        return True

    def graph(self, id: str) -> LoadBalancerGraph | None:
        with engines.reading(self.engine) as conn:
            return graphs.load(conn, id)

    def view(self, id: str) -> work.WorkView | None:
        with engines.reading(self.engine) as conn:
            return work.view(conn, id)

    def wait_for(self, id: str, states: tuple[str | None, ...]) -> LoadBalancerGraph | None:
        for _ in range(50):
            self.turn()
            graph = self.graph(id)
            if (graph.load_balancer.provisioning_status if graph else None) in states:
                return graph
        raise AssertionError(f"never reached {states}")

    def assert_serves(self, id: str) -> None:
        """What hosts have is what the database says: its members, on the amphorae on the books, and no others."""
        graph = self.graph(id)
        assert graph is not None
        assert {each.provisioning_status for each in graph.objects()} == {status.ACTIVE}
        assert graph.observed_generation == graph.generation
        for amphora in graph.amphorae.values():
            wish = self.agents.on(amphora.host)[amphora.id]
            assert wish.generation == graph.generation
            servers = {server.name for backend in wish.proxy.backends for server in backend.servers}
            assert servers == set(graph.members)
        assert len(graph.amphorae) == 1

    def on_hosts(self) -> set[str]:
        with engines.reading(self.engine) as conn:
            return {amphora_id for host in hosts.all(conn) for amphora_id in self.agents.on(host.name)}

    def host_of(self, amphora_id: str) -> str:
        """The host that the books name for an amphora."""
        with engines.reading(self.engine) as conn:
            return conn.execute(select(tables.amphora.c.host).where(tables.amphora.c.id == amphora_id)).scalar_one()

    def on_books(self) -> set[str]:
        with engines.reading(self.engine) as conn:
            return amphorae.all_ids(conn)


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.engine.dispose()


class TestJourney:
    def test_a_load_balancer_is_served_after_one_turn(self, world):
        id = world.create()
        assert world.turn()
        world.assert_serves(id)
        graph = world.graph(id)
        assert {each.operating_status for each in graph.members.values()} == {status.NO_MONITOR}

    def test_a_change_is_applied_to_the_same_amphora(self, world):
        id = world.create()
        world.turn()
        before = world.on_hosts()
        world.add_member(id, 7)
        world.turn()
        world.assert_serves(id)
        assert len(world.graph(id).members) == 3
        world.drop_member(id)
        world.turn()
        world.assert_serves(id)
        assert len(world.graph(id).members) == 2
        assert world.on_hosts() == before

    def test_a_deleted_one_leaves_nothing(self, world):
        id = world.create()
        world.turn()
        world.delete(id)
        world.turn()
        assert world.graph(id) is None
        assert world.on_hosts() == world.on_books() == set()
        assert Addresses(world.engine).owned_by(id) == []
        assert not world.turn()

    def test_one_that_is_deleted_before_it_was_ever_made(self, world):
        id = world.create()
        world.delete(id)
        world.turn()
        assert world.graph(id) is None
        assert world.on_hosts() == set()

    def test_at_rest_it_is_looked_at_and_nothing_is_sent(self, world):
        id = world.create()
        world.turn()
        sent = []
        world.agents.trouble = sent.append
        assert world.turn()
        assert sent == []
        world.assert_serves(id)

    def test_what_vanished_from_the_host_is_made_again(self, world):
        id = world.create()
        world.turn()
        (amphora_id,) = world.on_hosts()
        world.agents.lose("host-1", amphora_id)
        world.turn()
        world.assert_serves(id)

    def test_without_a_host_it_waits_and_says_so(self, tmp_path):
        world = World(tmp_path, hosts_at_first=())
        id = world.create()
        world.turn()
        assert "host" in world.view(id).error
        assert world.graph(id).load_balancer.provisioning_status == status.PENDING_CREATE
        world.appear("host-1")
        world.wait_for(id, (status.ACTIVE,))
        world.assert_serves(id)


class TestFailure:
    def test_a_host_that_does_not_answer_is_tried_again(self, world):
        id = world.create()
        world.agents.down.add("host-1")
        world.turn()
        world.turn()
        view = world.view(id)
        assert view.attempts == 2
        assert "host-1 does not answer" in view.error
        world.agents.down.clear()
        world.turn()
        world.assert_serves(id)
        assert world.view(id).error is None

    def test_after_long_failing_it_is_in_error_and_still_tried(self, tmp_path):
        world = World(tmp_path, error_after=0.0)
        id = world.create()
        world.agents.trouble = lambda desired: Applied(
            amphora_id=desired.amphora_id, outcome=Outcome.FAILED, fault="no space left on device"
        )
        graph = world.wait_for(id, (status.ERROR,))
        assert "no space left on device" in graph.load_balancer.fault
        world.agents.trouble = lambda desired: None
        world.wait_for(id, (status.ACTIVE,))
        world.assert_serves(id)
        assert world.graph(id).load_balancer.fault is None

    def test_a_refused_wish_is_in_error_at_once_and_its_culprits_with_it(self, world):
        id = world.create()
        world.turn()
        world.add_member(id, 9)
        culprit = next(each for each in world.graph(id).members.values() if each.provisioning_status != status.ACTIVE)
        world.agents.trouble = lambda desired: Applied(
            amphora_id=desired.amphora_id, outcome=Outcome.REFUSED, fault="line 7: no", culprits=(culprit.id,)
        )
        world.turn()
        graph = world.graph(id)
        assert graph.load_balancer.provisioning_status == status.ERROR
        assert graph.members[culprit.id].provisioning_status == status.ERROR
        assert "line 7: no" in graph.members[culprit.id].fault
        assert [each.provisioning_status for each in graph.members.values()].count(status.ACTIVE) == 2
        world.agents.trouble = lambda desired: None
        world.drop_member(id)
        world.wait_for(id, (status.ACTIVE,))
        world.assert_serves(id)

    def test_what_happened_is_told_and_a_failure_only_when_it_is_news(self, tmp_path):
        world = World(tmp_path, error_after=1000.0)
        id = world.create()
        world.agents.down.add("host-1")
        for _ in range(3):
            world.turn()
        ((what, of, words),) = told(world.engine, id)
        assert (what, of) == ("retried", id)
        assert "host-1 does not answer" in words
        world.agents.down.clear()
        world.turn()
        world.turn()
        what, of, words = told(world.engine, id)[-1]
        assert (what, of) == ("applied", id)
        assert "apply the wished state to amphora" in words
        assert len(told(world.engine, id)) == 2
        world.agents.trouble = lambda desired: Applied(
            amphora_id=desired.amphora_id, outcome=Outcome.REFUSED, fault="line 7: no"
        )
        world.add_member(id, 9)
        for _ in range(3):
            world.turn()
        assert told(world.engine, id)[2:] == [("failed", id, "line 7: no")]
        world.agents.trouble = lambda desired: None
        world.wait_for(id, (status.ACTIVE,))
        assert [what for what, _, _ in told(world.engine, id)] == ["retried", "applied", "failed", "applied"]

    def test_a_network_that_was_taken_out_of_the_options_is_named(self, world):
        id = world.create()
        world.tools = replace(
            world.tools, network=LocalNetwork(("other 198.18.65.0/24",), Addresses(world.engine), "tc")
        )
        world.turn()
        graph = world.graph(id)
        assert world.view(id).error == f"subnet {graph.load_balancer.vip_subnet_id} does not exist"

    def test_a_fenced_worker_leaves_it_alone(self, world):
        id = world.create()
        claim = work.claim(world.engine, "slow", 30)
        work.release_all(world.engine, "slow")
        assert world.turn()
        world.assert_serves(id)
        before = world.agents.on("host-1")
        reconcile(world.tools, claim)
        assert world.agents.on("host-1") == before
        world.assert_serves(id)
        assert world.view(id).error is None

    def test_a_worker_that_lost_its_lease_writes_nothing(self, world):
        id = world.create()
        slow = work.claim(world.engine, "slow", 30)
        work.release_all(world.engine, "slow")
        quick = work.claim(world.engine, "quick", 30)
        reconcile(world.tools, slow)
        assert world.on_books() == world.on_hosts() == set()
        assert world.graph(id).observed_generation == 0
        assert world.view(id).lease_owner == "quick"
        reconcile(world.tools, quick)
        world.assert_serves(id)

    def test_a_lost_host_does_not_keep_a_load_balancer_from_being_deleted(self, world):
        id = world.create()
        world.turn()
        world.agents.down.add("host-1")
        world.fall_silent("host-1")
        world.delete(id)
        world.turn()
        assert world.graph(id) is None
        assert world.on_books() == set()
        assert len(world.on_hosts()) == 1

    def test_a_lost_host_is_replaced_by_another(self, world):
        id = world.create()
        world.turn()
        world.appear("host-2")
        world.agents.down.add("host-1")
        world.fall_silent("host-1")
        world.turn()
        world.assert_serves(id)
        assert set(world.agents.on("host-2")) == world.on_books()
        world.agents.down.clear()
        Sweep(world.tools).once()
        assert world.on_hosts() == world.on_books()


class TestSweep:
    def test_orphans_go_after_a_grace_and_nothing_else(self, world):
        id = world.create()
        world.turn()
        (kept,) = world.on_hosts()
        stray = msgspec.structs.replace(world.agents.on("host-1")[kept], amphora_id=str(uuid.uuid4()))
        world.agents.apply("host-1", "", stray)
        owner = str(uuid.uuid4())
        world.network.create_port(owner, "project", "", network_id=world.network.networks()[0].id)
        seconds = itertools.count()
        sweep = Sweep(
            Tools(
                world.engine, world.network, world.agents,
                msgspec.structs.replace(world.tools.settings, orphan_grace=1000),
            ),
            lambda: float(next(seconds)),
        )  # fmt: skip
        sweep.once()
        assert world.on_hosts() == {kept, stray.amphora_id}
        seconds = itertools.count(2000)
        sweep.once()
        assert world.on_hosts() == {kept}
        assert Addresses(world.engine).owned_by(owner) == []
        assert Addresses(world.engine).owned_by(id)
        world.assert_serves(id)

    def test_an_empty_database_is_not_believed_at_once(self, world):
        id = world.create()
        world.turn()
        with engines.writing(world.engine) as conn:
            graphs.forget(conn, id)
        moment = [0.0]
        tools = Tools(
            world.engine, world.network, world.agents, msgspec.structs.replace(world.tools.settings, orphan_grace=60)
        )
        sweep = Sweep(tools, lambda: moment[0])
        for moment[0] in (0.0, 61.0, 300.0):
            sweep.once()
            assert len(world.on_hosts()) == 1
        moment[0] = 601.0
        sweep.once()
        assert world.on_hosts() == set()

    def test_a_host_that_does_not_answer_is_passed_over(self, world):
        world.appear("host-2")
        world.agents.down.add("host-1")
        world.create()
        Sweep(world.tools).once()


class TestExplain:
    def test_what_it_says_in_each_state(self, world):
        id = world.create()
        said = "\n".join(explain.explain(world.tools, "web"))
        assert "PENDING_CREATE" in said
        assert "place an amphora on host host-1" in said
        assert "It is due now." in said
        world.agents.down.add("host-1")
        world.turn()
        world.turn()
        said = "\n".join(explain.explain(world.tools, id))
        assert "2 in a row" in said
        assert "host-1 does not answer" in said
        world.agents.down.clear()
        world.turn()
        with engines.writing(world.engine) as conn:
            first = next(iter(world.graph(id).members))
            graphs.set_operating(conn, [("member", first, status.ERROR)])
        said = "\n".join(explain.explain(world.tools, id))
        assert "Nothing is missing." in said
        assert f"Member {first} (198.18.64.100 port 8080) is ERROR." in said
        assert world.view(id).lease_owner is None


class Story:
    """Things that happen to a world, each named by a verb and steered by a number."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, ("host-1", "host-2"), error_after=0.0)
        self.alive: list[str] = []

    def create(self, number: int) -> None:
        self.alive.append(self.world.create(number % 3))

    def turn(self, number: int) -> None:
        self.world.turn()

    def kill(self, number: int) -> None:
        """The controller dies in a turn, after so many steps."""
        left = iter(range(number))

        def held() -> bool:
            if next(left, None) is None:
                raise Killed
            return True

        self.world.turn(held)

    def cut(self, number: int) -> None:
        """The controller dies after the host did what it was told and before anybody wrote it down."""

        def die(desired: Desired) -> None:
            self.world.agents.trouble = lambda desired: None
            self.world.agents.apply(self.world.host_of(desired.amphora_id), "", desired)
            raise Killed

        self.world.agents.trouble = die
        self.world.turn()

    def lose(self, number: int) -> None:
        host = f"host-{number % 2 + 1}"
        for amphora_id in list(self.world.agents.on(host))[:1]:
            self.world.agents.lose(host, amphora_id)

    def host(self, number: int) -> None:
        self.world.agents.down ^= {f"host-{number % 2 + 1}"}

    def refuse(self, number: int) -> None:
        refusal = Applied(amphora_id="", outcome=Outcome.REFUSED, fault="no")
        self.world.agents.trouble = lambda desired: refusal if number % 2 else None

    def add(self, number: int) -> None:
        if self.alive:
            self.world.add_member(self.alive[number % len(self.alive)], number)

    def drop(self, number: int) -> None:
        if self.alive:
            self.world.drop_member(self.alive[number % len(self.alive)])

    def delete(self, number: int) -> None:
        if self.alive:
            self.world.delete(self.alive.pop(number % len(self.alive)))


VERBS = ("create", "add", "drop", "delete", "turn", "kill", "cut", "lose", "host", "refuse")


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 6)), max_size=25))
@settings(deadline=None, max_examples=40)
def test_whatever_happens_it_converges(tmp_path_factory, script):
    """Writes, crashes at any point of a turn, lost amphorae and hosts, in any order: in the end the world is the
    wish, and nothing else is left of it."""
    story = Story(tmp_path_factory.mktemp("world"))
    world = story.world
    for verb, number in script:
        getattr(story, verb)(number)
    world.agents.down.clear()
    world.agents.trouble = lambda desired: None
    for _ in range(6 * len(script) + 10):
        world.turn()
    for id in story.alive:
        world.assert_serves(id)
    assert len(world.on_books()) == len(story.alive)
    assert world.on_hosts() == world.on_books()
    world.engine.dispose()
