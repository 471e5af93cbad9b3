# SPDX-License-Identifier: Apache-2.0
"""What to do next: the steps that still lie between what is wished and what exists. Pure."""

import enum
from collections import Counter
from collections.abc import Sequence

import msgspec

from ottava.model import status
from ottava.model.graph import LoadBalancerGraph


class HostView(msgspec.Struct, frozen=True):
    """A host that could carry an amphora.

    alive  it was heard of lately
    load   how many amphorae it carries
    held   it is silent, but what it carries must not be replaced (the brake, failure.py)
    """

    name: str
    alive: bool
    load: int = 0
    held: bool = False


class AmphoraView(msgspec.Struct, frozen=True):
    """One amphora as its host reports it.

    current  what serves is exactly what this graph wants (equal digests)
    known    its host answered; if not, nothing is known of it
    exists   the host has it
    """

    id: str
    host: str
    known: bool = True
    exists: bool = False
    current: bool = False


class Observed(msgspec.Struct, frozen=True):
    """What exists, as far as it can be seen."""

    amphorae: dict[str, AmphoraView] = {}
    hosts: tuple[HostView, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One thing to do; every step may be done twice without harm. `say()` is it in words."""

    def say(self) -> str:
        """The step as a sentence, in the imperative."""
        raise NotImplementedError


class PlaceAmphora(Step, frozen=True, tag=True):
    """Write down that an amphora belongs on a host."""

    host: str

    def say(self) -> str:
        return f"place an amphora on host {self.host}"


class ApplyAmphora(Step, frozen=True, tag=True):
    """Make an amphora look as wished."""

    amphora_id: str
    host: str

    def say(self) -> str:
        return f"apply the wished state to amphora {self.amphora_id} on host {self.host}"


class RemoveAmphora(Step, frozen=True, tag=True):
    """Take an amphora off its host, then off the books.

    host_alive  False: the host is lost, and the books are all that can be changed. Should it come back, the amphora
                is an orphan there
    """

    amphora_id: str
    host: str
    host_alive: bool = True

    def say(self) -> str:
        if not self.host_alive:
            return f"take amphora {self.amphora_id} off the books, since host {self.host} is lost"
        return f"remove amphora {self.amphora_id} from host {self.host}"


class AwaitHost(Step, frozen=True, tag=True):
    """Nothing can be done until a host is there."""

    reason: str

    def say(self) -> str:
        return f"wait: {self.reason}"


class ReleasePort(Step, frozen=True, tag=True):
    """Give the VIP port back, if Ottava made it."""

    port_id: str

    def say(self) -> str:
        return f"release the VIP port {self.port_id}"


class ForgetLoadBalancer(Step, frozen=True, tag=True):
    """Delete the load balancer and its tree from the database."""

    loadbalancer_id: str

    def say(self) -> str:
        return f"delete load balancer {self.loadbalancer_id} from the database"


WANTED = {"SINGLE": 1, "ACTIVE_STANDBY": 2, "ACTIVE_ACTIVE": 2}
"""How many amphorae serve a load balancer, by its topology."""


class Condition(enum.IntEnum):
    """How good an amphora is, the best first: those are kept."""

    CURRENT = 0  # serves what is wished
    THERE = 1  # its host answers and has it
    ABSENT = 2  # its host answers and does not have it
    UNKNOWN = 3  # its host is alive, but did not answer
    HELD = 4  # its host is silent, and the brake keeps it from being replaced
    LOST = 5  # its host is silent or forgotten


class _Placed(msgspec.Struct, frozen=True):
    """An amphora of the books, and what became of it."""

    id: str
    host: str
    condition: Condition
    created_at: str = ""
    leaving: bool = False


def plan(graph: LoadBalancerGraph, observed: Observed) -> tuple[Step, ...]:
    """The steps still missing, in order; () means that what is wished is so.

    A step that needs the result of an earlier one (an amphora's id) appears when the earlier one is
    done: the reconciler plans again after each step that changes the graph. Steps that only wait come last.

    Invariants (tests/property/test_plan.py): applying the first step and planning again, with a crash
    after any of them, ends in (); nothing that is wished is ever removed; a host that is not alive is sent nothing.
    """
    placed = _placed(graph, observed)
    if graph.load_balancer.provisioning_status == status.PENDING_DELETE:
        return _dismantle(graph, placed)
    live = [host for host in observed.hosts if host.alive]
    kept = _kept(placed, WANTED[graph.load_balancer.topology], bool(live))
    missing = WANTED[graph.load_balancer.topology] - len(kept)
    steps = (*_applied(kept), *_places(missing, live, placed), *_awaited(kept))
    if missing and not live:
        steps = (*steps, AwaitHost("no host is alive that could carry an amphora"))
    return steps or _removed([each for each in placed if each not in kept])


def _placed(graph: LoadBalancerGraph, observed: Observed) -> list[_Placed]:
    """Every amphora of the load balancer, the best first."""
    hosts = {host.name: host for host in observed.hosts}
    found = []
    for amphora in graph.amphorae.values():
        view = observed.amphorae.get(amphora.id) or AmphoraView(amphora.id, amphora.host, known=False)
        condition = _condition(hosts.get(amphora.host), view)
        leaving = amphora.status == status.PENDING_DELETE
        found.append(_Placed(amphora.id, amphora.host, condition, amphora.created_at, leaving))
    return sorted(found, key=lambda each: (each.condition, each.created_at, each.id))


def _condition(host: HostView | None, view: AmphoraView) -> Condition:
    if host is None or not host.alive:
        return Condition.HELD if host is not None and host.held else Condition.LOST
    if not view.known:
        return Condition.UNKNOWN
    if not view.exists:
        return Condition.ABSENT
    return Condition.CURRENT if view.current else Condition.THERE


def _kept(placed: Sequence[_Placed], wanted: int, replaceable: bool) -> list[_Placed]:
    """The amphorae that are to serve; one on a lost host only while no other host could take its place."""
    staying = [each for each in placed if not each.leaving]
    return [each for each in staying if each.condition is not Condition.LOST or not replaceable][:wanted]


def _applied(kept: Sequence[_Placed]) -> tuple[Step, ...]:
    stale = (Condition.THERE, Condition.ABSENT)
    return tuple(ApplyAmphora(each.id, each.host) for each in kept if each.condition in stale)


def _places(missing: int, live: Sequence[HostView], placed: Sequence[_Placed]) -> tuple[Step, ...]:
    """New amphorae: on hosts that carry none of this load balancer, then on the least loaded, then by name."""
    own = Counter(each.host for each in placed)
    steps = []
    for _ in range(missing if live else 0):
        host = min(live, key=lambda each: (own[each.name], each.load, each.name))
        own[host.name] += 1
        steps.append(PlaceAmphora(host.name))
    return tuple(steps)


_REASONS = {
    Condition.UNKNOWN: "host {host} did not answer about amphora {id}",
    Condition.HELD: "host {host} is silent, with too many others at once to replace amphora {id}",
    Condition.LOST: "host {host} is silent, and no other host is alive to carry amphora {id}",
}


def _awaited(those: Sequence[_Placed]) -> tuple[Step, ...]:
    return tuple(
        AwaitHost(_REASONS[each.condition].format(host=each.host, id=each.id))
        for each in those
        if each.condition in _REASONS
    )


def _removed(those: Sequence[_Placed]) -> tuple[Step, ...]:
    """Each off its host; one on a lost host off the books; for the others their hosts must be heard of first."""
    waiting = (Condition.UNKNOWN, Condition.HELD)
    steps = [
        RemoveAmphora(each.id, each.host, each.condition is not Condition.LOST)
        for each in those
        if each.condition not in waiting
    ]
    return (*steps, *_awaited([each for each in those if each.condition in waiting]))


def _dismantle(graph: LoadBalancerGraph, placed: Sequence[_Placed]) -> tuple[Step, ...]:
    """The address is given back only when nothing can answer for it any more."""
    steps = _removed(placed)
    if any(isinstance(step, AwaitHost) for step in steps):
        return steps
    load_balancer = graph.load_balancer
    port = (ReleasePort(load_balancer.vip_port_id),) if load_balancer.vip_port_id else ()
    return (*steps, *port, ForgetLoadBalancer(load_balancer.id))
