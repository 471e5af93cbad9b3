# SPDX-License-Identifier: Apache-2.0
"""From any state, with crashes and wrong views on the way, the plan ends where it should and removes nothing wanted."""

import copy
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.trees import graph

from ottava.model import status
from ottava.model.amphora import Amphora
from ottava.model.graph import LoadBalancerGraph
from ottava.rules import plan as plans
from ottava.rules.plan import (
    WANTED,
    AmphoraView,
    ApplyAmphora,
    AwaitHost,
    ForgetLoadBalancer,
    HostView,
    Observed,
    PlaceAmphora,
    ReleasePort,
    RemoveAmphora,
    Step,
    plan,
)

NAMES = ("host-a", "host-b", "host-c")
TOPOLOGIES = tuple(WANTED)


@dataclass
class World:
    """What is really there. `on` holds, for each host, which wish each of its amphorae serves (None: none)."""

    alive: dict[str, bool]
    wish: int = 1
    on: dict[str, dict[str, int | None]] = field(default_factory=lambda: {name: {} for name in NAMES})
    made: int = 0
    port: bool = True
    forgotten: bool = False

    def observe(self, books: LoadBalancerGraph, mute: frozenset[str] = frozenset(), held: bool = False) -> Observed:
        """What the controller sees now; hosts in `mute` are alive and do not answer."""
        views = {}
        for amphora in books.amphorae.values():
            known = self.alive.get(amphora.host, False) and amphora.host not in mute
            there = known and amphora.id in self.on[amphora.host]
            current = there and self.on[amphora.host][amphora.id] == self.wish
            views[amphora.id] = AmphoraView(amphora.id, amphora.host, known, there, current)
        hosts = tuple(
            HostView(name, alive, len(self.on[name]), held and not alive) for name, alive in self.alive.items()
        )
        return Observed(views, hosts)

    def serving(self) -> set[str]:
        """Amphorae that carry traffic."""
        return {id for name, amphorae in self.on.items() if self.alive.get(name) for id in amphorae if amphorae[id]}

    def current(self, books: LoadBalancerGraph) -> set[str]:
        """Amphorae of the books that serve the newest wish."""
        return {
            each.id
            for each in books.amphorae.values()
            if self.alive.get(each.host) and self.on[each.host].get(each.id) == self.wish
        }

    def take(self, books: LoadBalancerGraph, step: Step, recorded: bool = True) -> None:
        """Do one step; not `recorded`: the process dies after the host did it and before the books say so."""
        match step:
            case PlaceAmphora(host) if recorded:
                self.made += 1
                new = Amphora(id=f"made-{self.made}", loadbalancer_id="lb", host=host, created_at=f"{self.made:09}")
                books.amphorae[new.id] = new
            case ApplyAmphora(id, host) if self.alive[host]:
                self.on[host][id] = self.wish
            case RemoveAmphora(id, host, host_alive):
                self.remove(books, id, host, host_alive, recorded)
            case ReleasePort():
                self.port = False
                books.load_balancer.vip_port_id = None if recorded else books.load_balancer.vip_port_id
            case ForgetLoadBalancer() if recorded:
                self.forgotten = True

    def remove(self, books: LoadBalancerGraph, id: str, host: str, host_alive: bool, recorded: bool) -> None:
        """Off the host if it is to be asked; when it does not answer, the step fails and nothing is recorded."""
        if host_alive and not self.alive[host]:
            return
        if host_alive:
            self.on[host].pop(id, None)
        if recorded:
            books.amphorae.pop(id, None)

    def sweep(self, books: LoadBalancerGraph) -> None:
        """What is on no books is removed from hosts that answer."""
        for name, amphorae in self.on.items():
            if self.alive.get(name):
                for id in set(amphorae) - set(books.amphorae):
                    del amphorae[id]


def check_step(books: LoadBalancerGraph, observed: Observed, step: Step) -> None:
    """A step is sensible by what was seen when it was planned."""
    alive = {host.name for host in observed.hosts if host.alive}
    held = {host.name for host in observed.hosts if host.held}
    match step:
        case PlaceAmphora(host):
            assert host in alive
        case ApplyAmphora(id, host):
            assert host in alive
            assert observed.amphorae[id].known
            assert not observed.amphorae[id].current
            assert books.amphorae[id].status != status.PENDING_DELETE
        case RemoveAmphora(id, host, host_alive):
            assert host_alive == (host in alive)
            assert host not in held
            assert not host_alive or observed.amphorae[id].known
            if books.load_balancer.provisioning_status != status.PENDING_DELETE:
                stay = [
                    each.id
                    for each in books.amphorae.values()
                    if each.id != id
                    and each.status != status.PENDING_DELETE
                    and each.host in alive
                    and observed.amphorae[each.id].known
                    and observed.amphorae[each.id].current
                ]
                assert len(stay) >= WANTED[books.load_balancer.topology]
        case ReleasePort() | ForgetLoadBalancer():
            assert books.load_balancer.provisioning_status == status.PENDING_DELETE


@st.composite
def books_and_worlds(draw: st.DrawFn) -> tuple[LoadBalancerGraph, World]:
    """Any state that a load balancer may be in, tidy or not."""
    world = World({name: draw(st.booleans()) for name in NAMES})
    deleted = draw(st.booleans()) and draw(st.booleans())
    books = graph(
        topology=draw(st.sampled_from(TOPOLOGIES)),
        provisioning_status=status.PENDING_DELETE if deleted else status.ACTIVE,
        admin_state_up=draw(st.booleans()),
    )
    for number in range(draw(st.integers(0, 4))):
        host = draw(st.sampled_from((*NAMES, "forgotten")))
        amphora = Amphora(
            id=f"old-{number}",
            loadbalancer_id="lb",
            host=host,
            status=draw(st.sampled_from(("ALLOCATED", "ALLOCATED", "ERROR", "PENDING_DELETE"))),
            created_at=draw(st.sampled_from(("1", "2"))),
        )
        books.amphorae[amphora.id] = amphora
        if host != "forgotten" and draw(st.booleans()):
            world.on[host][amphora.id] = draw(st.sampled_from((None, 0, 1)))
    return books, world


class Turns(RuleBasedStateMachine):
    """Controllers take turns at one load balancer while hosts come and go and people change their minds."""

    @initialize(state=books_and_worlds())
    def begin(self, state: tuple[LoadBalancerGraph, World]) -> None:
        self.books, self.world = state
        self.old_view = self.world.observe(self.books)

    @precondition(lambda self: not self.world.forgotten)
    @rule(mute=st.frozensets(st.sampled_from(NAMES)), held=st.booleans(), last=st.integers(0, 3), crash=st.booleans())
    def turn(self, mute: frozenset[str], held: bool, last: int, crash: bool) -> None:
        """Plan and do one step after the other, up to a crash in the middle of one."""
        for number in range(last + 1):
            observed = self.world.observe(self.books, mute, held)
            steps = plan(self.books, observed)
            if not steps or self.world.forgotten:
                return
            for step in steps:
                check_step(self.books, observed, step)
            before = self.world.serving()
            was_current = self.world.current(self.books)
            self.world.take(self.books, steps[0], recorded=not (crash and number == last))
            self.check_traffic(steps[0], before, was_current)

    def check_traffic(self, step: Step, before: set[str], was_current: set[str]) -> None:
        """With a true view, traffic only ever moves to what serves the wish already."""
        if self.books.load_balancer.provisioning_status == status.PENDING_DELETE:
            return
        gone = before - self.world.serving()
        assert gone <= ({step.amphora_id} if isinstance(step, RemoveAmphora) else set())
        if gone:
            assert len(was_current - gone) >= WANTED[self.books.load_balancer.topology]

    @precondition(lambda self: not self.world.forgotten)
    @rule()
    def stale_step(self) -> None:
        """A step planned from what was seen long ago, by a controller that was asleep."""
        known = {id: view for id, view in self.old_view.amphorae.items() if id in self.books.amphorae}
        observed = msgspec.structs.replace(self.old_view, amphorae=known)
        steps = plan(self.books, observed)
        for step in steps:
            check_step(self.books, observed, step)
        for step in steps[:1]:
            self.world.take(self.books, step)

    @rule()
    def look(self) -> None:
        self.old_view = self.world.observe(self.books)

    @rule(name=st.sampled_from(NAMES))
    def die_or_return(self, name: str) -> None:
        self.world.alive[name] = not self.world.alive[name]

    @rule(name=st.sampled_from(NAMES))
    def lose_all(self, name: str) -> None:
        self.world.on[name].clear()

    @rule()
    def change_the_wish(self) -> None:
        self.world.wish += 1

    @rule()
    def delete(self) -> None:
        self.books.load_balancer.provisioning_status = status.PENDING_DELETE

    @rule()
    def fail_over(self) -> None:
        for amphora in self.books.amphorae.values():
            amphora.status = status.PENDING_DELETE

    @invariant()
    def forgotten_only_without_traffic_and_port(self) -> None:
        if getattr(self, "world", None) and self.world.forgotten:
            assert not self.books.amphorae
            assert not self.world.port

    def teardown(self) -> None:
        """Left alone with one host alive, everything becomes as it should be."""
        if not hasattr(self, "world"):
            return
        self.world.alive[NAMES[0]] = True
        for _ in range(30):
            steps = () if self.world.forgotten else plan(self.books, self.world.observe(self.books))
            if not steps:
                break
            assert not isinstance(steps[0], AwaitHost)
            self.world.take(self.books, steps[0])
        else:
            raise AssertionError("the plan goes in circles")
        self.world.sweep(self.books)
        there = {id for name, amphorae in self.world.on.items() if self.world.alive[name] for id in amphorae}
        if self.books.load_balancer.provisioning_status == status.PENDING_DELETE:
            assert self.world.forgotten
            assert there == set()
        else:
            assert there == set(self.books.amphorae) == self.world.current(self.books)
            assert len(there) == WANTED[self.books.load_balancer.topology]
            assert self.world.port


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)


@st.composite
def anything_seen(draw: st.DrawFn) -> tuple[LoadBalancerGraph, Observed]:
    """Books and a view of them that need not fit together at all."""
    books, _ = draw(books_and_worlds())
    seen = draw(st.sets(st.sampled_from(sorted(books.amphorae)))) if books.amphorae else set()
    looks = st.sampled_from(((False, False, False), (True, False, False), (True, True, False), (True, True, True)))
    views = {id: AmphoraView(id, books.amphorae[id].host, *draw(looks)) for id in seen}
    hosts = []
    for name in draw(st.sets(st.sampled_from(NAMES))):
        alive = draw(st.booleans())
        hosts.append(HostView(name, alive, draw(st.integers(0, 3)), not alive and draw(st.booleans())))
    return books, Observed(views, tuple(hosts))


@given(anything_seen())
@settings(max_examples=300, deadline=None)
def test_every_step_is_sensible_whatever_was_seen(case: tuple[LoadBalancerGraph, Observed]) -> None:
    books, observed = case
    before = copy.deepcopy(books)
    steps = plan(books, observed)
    assert steps == plan(books, observed)
    assert books == before
    waits = [isinstance(step, AwaitHost) for step in steps]
    assert waits == sorted(waits), "a step that only waits must not keep others from being taken"
    for step in steps:
        check_step(books, observed, step)
        assert step.say()


def only(*hosts: HostView, books: LoadBalancerGraph | None = None) -> tuple[Step, ...]:
    found = books or graph()
    views = {
        each.id: AmphoraView(each.id, each.host, exists=True, current=True)
        for each in found.amphorae.values()
        if any(host.name == each.host and host.alive for host in hosts)
    }
    return plan(found, Observed(views, hosts))


def with_one(host: str) -> LoadBalancerGraph:
    books = graph()
    books.amphorae["one"] = Amphora(id="one", loadbalancer_id="lb", host=host)
    return books


def test_the_least_loaded_host_carries_the_next_and_names_break_ties() -> None:
    assert only(HostView("a", True, 2), HostView("c", True, 1), HostView("b", True, 1)) == (PlaceAmphora("b"),)
    assert only(HostView("a", False, 0), HostView("b", True, 9)) == (PlaceAmphora("b"),)


def test_two_amphorae_go_to_two_hosts_before_the_load_counts() -> None:
    books = graph(topology="ACTIVE_STANDBY")
    hosts = (HostView("a", True, 0), HostView("b", True, 7))
    assert only(*hosts, books=books) == (PlaceAmphora("a"), PlaceAmphora("b"))


def test_without_a_host_there_is_a_reason() -> None:
    (step,) = only(HostView("a", False))
    assert isinstance(step, AwaitHost)
    assert "no host is alive" in step.say()


def test_what_serves_needs_nothing() -> None:
    assert only(HostView("a", True), HostView("b", True), books=with_one("a")) == ()


def test_one_on_a_lost_host_is_replaced_if_another_is_alive() -> None:
    assert only(HostView("a", False), HostView("b", True), books=with_one("a")) == (PlaceAmphora("b"),)
    assert only(HostView("b", True), books=with_one("a")) == (PlaceAmphora("b"),)


def test_one_on_a_lost_host_waits_if_no_other_is_alive() -> None:
    (step,) = only(HostView("a", False), books=with_one("a"))
    assert isinstance(step, AwaitHost)
    assert "host a is silent" in step.say()


def test_the_brake_holds_replacement() -> None:
    (step,) = only(HostView("a", False, held=True), HostView("b", True), books=with_one("a"))
    assert isinstance(step, AwaitHost)
    assert "too many" in step.say()


def test_a_lost_amphora_leaves_the_books_when_its_replacement_serves() -> None:
    books = with_one("a")
    books.amphorae["two"] = Amphora(id="two", loadbalancer_id="lb", host="b")
    assert only(HostView("a", False), HostView("b", True), books=books) == (RemoveAmphora("one", "a", False),)


def test_what_serves_is_kept_whatever_is_older() -> None:
    books = with_one("a")
    books.amphorae["two"] = Amphora(id="two", loadbalancer_id="lb", host="b", created_at="later")
    hosts = (HostView("a", True), HostView("b", True))
    serves = AmphoraView("two", "b", exists=True, current=True)
    for older in (AmphoraView("one", "a"), AmphoraView("one", "a", exists=True)):
        assert plan(books, Observed({"one": older, "two": serves}, hosts)) == (RemoveAmphora("one", "a"),)
    (step,) = plan(books, Observed({"one": AmphoraView("one", "a", known=False), "two": serves}, hosts))
    assert step == AwaitHost("host a did not answer about amphora one")


def test_a_failover_serves_elsewhere_before_it_takes_away() -> None:
    books = with_one("a")
    books.amphorae["one"].status = status.PENDING_DELETE
    hosts = (HostView("a", True), HostView("b", True, 9))
    assert only(*hosts, books=books) == (PlaceAmphora("b"),)
    books.amphorae["two"] = Amphora(id="two", loadbalancer_id="lb", host="b")
    assert only(*hosts, books=books) == (RemoveAmphora("one", "a"),)


def test_deleting_ends_with_the_address() -> None:
    books = with_one("a")
    books.load_balancer.provisioning_status = status.PENDING_DELETE
    assert only(HostView("a", True), books=books) == (
        RemoveAmphora("one", "a"), ReleasePort("port"), ForgetLoadBalancer("lb"),
    )  # fmt: skip
    books.load_balancer.vip_port_id = None
    books.amphorae.clear()
    assert only(books=books) == (ForgetLoadBalancer("lb"),)


def test_steps_say_what_they_do() -> None:
    said = {
        step.say()
        for step in (
            PlaceAmphora("h"), ApplyAmphora("x", "h"), RemoveAmphora("x", "h"), RemoveAmphora("x", "h", False),
            AwaitHost("rain"), ReleasePort("p"), ForgetLoadBalancer("lb"),
        )
    }  # fmt: skip
    assert len(said) == 7
    assert all(len(sentence) > 8 for sentence in said)
    assert set(plans.WANTED) == {"SINGLE", "ACTIVE_STANDBY", "ACTIVE_ACTIVE"}
