# SPDX-License-Identifier: Apache-2.0
"""From what the proxies report to the operating statuses of the objects. Pure.

Every function returns only what changes. Objects that are being deleted keep the status they have.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from ottava.model import status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.wire.heartbeat import PoolReport, Report

R = TypeVar("R", bound=Resource)

Change = tuple[str, str, str]
"""The name of a kind, an id, and the operating status it gets."""

WORST_LAST = (
    status.ONLINE, status.NO_MONITOR, status.DRAINING, status.DEGRADED, status.OFFLINE, status.ERROR,
)  # fmt: skip

MEMBER_WORDS = {
    "UP": status.ONLINE,
    "DOWN": status.ERROR,
    "DRAIN": status.DRAINING,
    "MAINT": status.OFFLINE,
    "no check": status.OFFLINE,
}
"""What a proxy calls the state of a member that is monitored: "no check" is before the first one, and a word that is
not here says nothing."""


def operating(graph: LoadBalancerGraph, reports: Sequence[Report]) -> list[Change]:
    """What changes by the newest report of each amphora of the load balancer.

    A report that is older than an object's own last change says nothing about that object; where several reports,
    or several listeners of one pool, tell of an object, the worst counts. No reports, no changes.
    """
    return _Reading(graph, reports).changes() if reports else []


def applied(graph: LoadBalancerGraph) -> list[Change]:
    """What changes because `graph` is now in force: what no proxy reports on, and what it will not report any more.

    Whether enabled listeners, pools and monitored members work is left to the reports.
    """
    monitored = _monitored(graph)
    found: list[tuple[Resource, str]] = []
    for thing in _staying(graph.objects()):
        match thing:
            case HealthMonitor() | L7Policy() | L7Rule():
                found.append((thing, status.ONLINE if thing.admin_state_up else status.OFFLINE))
            case Member():
                found.append((thing, _member_applied(thing, thing.pool_id in monitored)))
            case _:
                up = getattr(thing, "admin_state_up", True)
                found.append((thing, thing.operating_status if up else status.OFFLINE))
    return _changes(found)


def _member_applied(member: Member, monitored: bool) -> str:
    known = _unchecked(member, monitored)
    if known is not None:
        return known
    return status.OFFLINE if member.operating_status == status.NO_MONITOR else member.operating_status


def _unchecked(member: Member, monitored: bool) -> str | None:
    """The status of a member that nobody checks; None if somebody does."""
    if not member.admin_state_up:
        return status.OFFLINE
    if monitored:
        return None
    return status.DRAINING if member.weight == 0 else status.NO_MONITOR


def _monitored(graph: LoadBalancerGraph) -> set[str]:
    """The ids of the pools whose members are checked."""
    return {each.pool_id for each in _staying(graph.healthmonitors.values()) if each.admin_state_up}


def _staying(things: Iterable[R]) -> Iterable[R]:
    return (each for each in things if each.provisioning_status != status.PENDING_DELETE)


def _changes(found: Iterable[tuple[Resource, str]]) -> list[Change]:
    return [(thing.kind.name, thing.id, new) for thing, new in found if new != thing.operating_status]


def _worst(statuses: Iterable[str]) -> str:
    return max(statuses, key=WORST_LAST.index)


class _Reading:
    """The reports on one load balancer, ready to be asked about its objects."""

    def __init__(self, graph: LoadBalancerGraph, reports: Sequence[Report]) -> None:
        self.graph = graph
        self.reports = reports
        self.monitored = _monitored(graph)
        self.pools: list[tuple[Report, dict[str, list[PoolReport]]]] = [(each, _by_pool(each)) for each in reports]

    def changes(self) -> list[Change]:
        """All that is different from what the graph says."""
        graph = self.graph
        found: list[tuple[Resource, str]] = [(each, self._member(each)) for each in _staying(graph.members.values())]
        pools = [(each, self._pool(each)) for each in _staying(graph.pools.values())]
        listeners = [(each, self._listener(each)) for each in _staying(graph.listeners.values())]
        found += [*pools, *listeners]
        whole = self._load_balancer([state for _, state in listeners], [state for _, state in pools])
        return _changes([*found, *((each, whole) for each in _staying((graph.load_balancer,)))])

    def _heard(self, thing: Resource) -> list[tuple[Report, dict[str, list[PoolReport]]]]:
        return [each for each in self.pools if each[0].generation >= thing.generation]

    def _member(self, member: Member) -> str:
        heard = self._heard(member)
        if not heard:
            return member.operating_status
        known = _unchecked(member, member.pool_id in self.monitored)
        if known is not None:
            return known
        told = [each.members.get(member.id) for _, pools in heard for each in pools.get(member.pool_id, ())]
        words = [word for word in told if word is not None]
        if not words:
            return status.OFFLINE
        found = _worst(MEMBER_WORDS.get(word, member.operating_status) for word in words)
        return status.DRAINING if member.weight == 0 and found == status.ONLINE else found

    def _pool(self, pool: Pool) -> str:
        heard = self._heard(pool)
        if not heard:
            return pool.operating_status
        told = [each for _, pools in heard for each in pools.get(pool.id, ())]
        if not told or not pool.admin_state_up:
            return status.OFFLINE
        return _worst(_pool_status(each) for each in told)

    def _listener(self, listener: Listener) -> str:
        heard = self._heard(listener)
        if not heard:
            return listener.operating_status
        load_balancer = self.graph.load_balancer
        if not listener.admin_state_up or not load_balancer.admin_state_up:
            return status.OFFLINE
        lost = status.ERROR if load_balancer.provisioning_status == status.ACTIVE else status.OFFLINE
        return _worst(_listener_status(report, listener.id, lost) for report, _ in heard)

    def _load_balancer(self, listeners: Sequence[str], pools: Sequence[str]) -> str:
        load_balancer = self.graph.load_balancer
        heard = self._heard(load_balancer)
        if not heard:
            return load_balancer.operating_status
        if not load_balancer.admin_state_up:
            return status.OFFLINE
        serves = any(each.admin_state_up for each in _staying(self.graph.listeners.values()))
        stopped = serves and not any(report.running for report, _ in heard)
        if status.ERROR in pools or stopped:
            return status.ERROR
        return status.DEGRADED if status.DEGRADED in (*listeners, *pools) else status.ONLINE


def _by_pool(report: Report) -> dict[str, list[PoolReport]]:
    """The reports on each pool, one for each listener that uses it; of a process that does not run, none."""
    found: dict[str, list[PoolReport]] = {}
    for key, each in report.pools.items() if report.running else ():
        found.setdefault(key.partition(":")[0], []).append(each)
    return found


def _pool_status(report: PoolReport) -> str:
    if not report.members:
        return status.ONLINE
    if report.status != "UP":
        return status.ERROR
    return status.DEGRADED if "DOWN" in report.members.values() else status.ONLINE


def _listener_status(report: Report, listener_id: str, lost: str) -> str:
    told = report.listeners.get(listener_id) if report.running else None
    if told is None:
        return lost
    return status.DEGRADED if told.status == "FULL" else status.ONLINE
