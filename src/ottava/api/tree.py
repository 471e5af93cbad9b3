# SPDX-License-Identifier: Apache-2.0
"""The one transaction of every write below a load balancer: what changes, and all that follows from it.

It runs under the lock of the load balancer's row, so that what it reads stays true until it commits.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection

from ottava.api.context import Context
from ottava.api.site import Site
from ottava.crash import crash_point
from ottava.model import errors, status
from ottava.model.event import ACCEPTED, Event
from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import L7Policy
from ottava.model.load_balancer import LoadBalancer
from ottava.model.resource import Resource
from ottava.rules import mutability, positions
from ottava.rules.mutability import CREATE, DELETE, FAILOVER, UPDATE
from ottava.store import amphorae, events, graphs, quotas, resources, work
from ottava.store.engine import retrying, timestamp

T = TypeVar("T")


class Change(NamedTuple):
    """One object that a request names, and what is to become of it, a verb of rules/mutability.py.

    old: the object before an update.
    """

    verb: str
    thing: Resource
    old: Resource | None = None


class Adjustment(NamedTuple):
    """Another object that must change with it, without a status of its own being touched."""

    cls: type[Resource]
    id: str
    values: dict[str, object]


def writing(
    site: Site, loadbalancer_id: str, kinds: Iterable[str], job: Callable[[Connection, LoadBalancerGraph], T]
) -> T:
    """What `job` returns, run on the locked load balancer; then the controllers are woken.

    kinds: which children the graph holds. Raises NotFound when the load balancer is gone, and what `job` raises.
    """

    write = str(uuid.uuid4())
    results: list[T] = []

    def transaction(conn: Connection) -> T:
        graph = graphs.load(conn, loadbalancer_id, lock=True, kinds=frozenset(kinds))
        if results and (graph is None or work.last_write(conn, loadbalancer_id) == write):
            return results[-1]  # an attempt before this one was carried out, although its commit was not confirmed
        if graph is None:
            raise errors.NotFound(resource=LoadBalancer.kind.word, id=loadbalancer_id)
        results.append(job(work.named(conn, write), graph))
        crash_point("api:before-commit")
        return results[-1]

    result = retrying(site.engine, transaction)
    crash_point("api:committed")
    site.wakeup.send()
    return result


@contextmanager
def clashes_last(site: Site, conn: Connection, graph: LoadBalancerGraph, thing: Resource) -> Iterator[None]:
    """What clashes with another object is told only where neither quota (403) nor state (409) forbid to create `thing`.

    Raises QuotaMet, ProjectBusy, Immutable, and what the body raises.
    """
    try:
        yield
    except (errors.Duplicate, errors.Immutable, errors.TooMany):
        if not _done(graph, Change(CREATE, thing)):
            reserve(site, conn, graph.load_balancer.project_id, {thing.kind.policy: 1})
            mutability.check(graph, thing, CREATE, site.settings.immutable_while_pending)
        raise


def carry_out(
    site: Site,
    conn: Connection,
    graph: LoadBalancerGraph,
    who: Context,
    changes: Iterable[Change],
    *,
    adjustments: Iterable[Adjustment] = (),
) -> None:
    """Write checked changes: quota (403), state (409), provider (501), objects, statuses, generation.

    With a provider that carries nothing out they are so at once.

    Raises QuotaMet, ProjectBusy, Immutable, InvalidState, ProviderNotEnabled, Unsupported.
    """
    changes = [each for each in changes if not _done(graph, each)]
    if not changes:
        return
    reserve(site, conn, graph.load_balancer.project_id, _net(changes))
    for change in changes:
        mutability.check(graph, change.thing, change.verb, site.settings.immutable_while_pending)
    provider = graph.load_balancer.provider
    for change in changes:
        if change.verb in (CREATE, UPDATE):
            site.providers.get(provider).check(change.thing, graph)
    _tell(site, conn, _accepted(graph, graph.generation + 1, who, changes))
    _write(conn, graph, changes, adjustments, done=not site.providers.carries_out(provider))


def _write(
    conn: Connection, graph: LoadBalancerGraph, changes: list[Change], adjustments: Iterable[Adjustment], done: bool
) -> None:
    """`done`: nobody carries the changes out, so that they are so at once."""
    generation = work.touch(conn, graph.load_balancer.id, done, graph.generation)
    first = {"generation": generation, "provisioning_status": status.ACTIVE if done else status.PENDING_CREATE}
    created = [msgspec.structs.replace(each.thing, **first) for each in changes if each.verb == CREATE]
    if created:
        resources.insert_many(conn, created)
    for change in changes:
        if change.old is not None and change.verb == UPDATE:
            resources.change(conn, type(change.thing), change.thing.id, _difference(change.old, change.thing))
    for cls, id, values in adjustments:
        resources.change(conn, cls, id, values)
    marks = {
        (kind, id): mark for change in changes for kind, id, mark in mutability.mark(graph, change.thing, change.verb)
    }
    for each in created:  # which have theirs
        marks.pop((each.kind.name, each.id), None)
    write = graphs.conclude if done else graphs.set_provisioning
    write(conn, [(*key, mark) for key, mark in marks.items()], generation)
    if done and any(each.verb == FAILOVER for each in changes):
        amphorae.replace_all(conn, graph.load_balancer.id)


def _tell(site: Site, conn: Connection, event: Event) -> None:
    keep = site.settings.events_kept
    events.record(conn, [event], keep)
    if event.generation % events.PRUNED_EVERY == 0:
        events.prune(conn, event.loadbalancer_id, keep)


def _accepted(graph: LoadBalancerGraph, generation: int, who: Context, changes: list[Change]) -> Event:
    """That changes were accepted: one event, whatever their number."""
    first = changes[0]
    if len(changes) == 1:
        of, words = (first.thing.kind.name, first.thing.id), _words(first)
    else:  # of one parent
        parent = str(first.thing.kind.parent)
        of = parent.removesuffix("_id"), str(getattr(first.thing, parent))
        count = Counter(each.verb for each in changes)
        words = ", ".join(f"{verb} {number} {first.thing.kind.plural}" for verb, number in sorted(count.items()))
    return events.new(
        graph.load_balancer.id, ACCEPTED, generation, words, of=of, user_id=who.user_id, request_id=who.request_id
    )


def tell_created(site: Site, conn: Connection, graph: LoadBalancerGraph, who: Context) -> None:
    """Write down that a load balancer was accepted with all that came with it."""
    count = Counter(each.kind.plural for each in graph.children())
    words = ", ".join(f"{number} {plural}" for plural, number in count.items())
    message = "create load balancer" + (f" with {words}" if words else "")
    id = graph.load_balancer.id
    _tell(site, conn, events.new(id, ACCEPTED, 1, message, user_id=who.user_id, request_id=who.request_id))


def _words(change: Change) -> str:
    words = f"{change.verb} {change.thing.kind.word.lower()}"
    if change.old is None or change.verb != UPDATE:
        return words
    changed = sorted(_difference(change.old, change.thing).keys() - {"updated_at"})
    return f"{words}: {', '.join(changed) or 'nothing'}"


def _done(graph: LoadBalancerGraph, change: Change) -> bool:
    """Whether an attempt before this one, whose commit was not confirmed, has created the object already."""
    return change.verb == CREATE and change.thing.id in getattr(graph, change.thing.kind.plural)


def reserve(site: Site, conn: Connection, project_id: str, wanted: dict[str, int]) -> None:
    """Refuse more objects than the project may have; not where everybody is the administrator. Raises QuotaMet."""
    if wanted and site.settings.auth_strategy != "noauth":
        quotas.reserve(conn, project_id, wanted, site.settings.quotas)


def _net(changes: Iterable[Change]) -> dict[str, int]:
    count: Counter[str] = Counter()
    for change in changes:
        if change.verb in (CREATE, DELETE):
            count[change.thing.kind.policy] += 1 if change.verb == CREATE else -1
    return {name: number for name, number in count.items() if number > 0}


def _difference(old: Resource, new: Resource) -> dict[str, object]:
    found = {name: getattr(new, name) for name in new.__struct_fields__ if getattr(new, name) != getattr(old, name)}
    return {**found, "updated_at": timestamp()}


def require(graph: LoadBalancerGraph, cls: type[Resource], id: str) -> Resource:
    """The object as the locked graph has it. Raises NotFound."""
    if cls is LoadBalancer:
        return graph.load_balancer
    found = getattr(graph, cls.kind.plural).get(id)
    if found is None:
        raise errors.NotFound(resource=cls.kind.word, id=id)
    return found  # type: ignore[no-any-return]


def placed(graph: LoadBalancerGraph, change: Change) -> tuple[Change, list[Adjustment]]:
    """An L7 policy's change with the position it really gets, and the other policies that move for it."""
    policy, old = change.thing, change.old
    if not isinstance(policy, L7Policy) or (isinstance(old, L7Policy) and old.position == policy.position):
        return change, []
    ranks = positions.insert_at(graph, policy)
    placed = msgspec.structs.replace(policy, position=ranks.pop(policy.id))
    return change._replace(thing=placed), [
        Adjustment(L7Policy, id, {"position": position}) for id, position in ranks.items()
    ]
