# SPDX-License-Identifier: Apache-2.0
"""Why a load balancer is as it is, in sentences for people (`ottava why`). Looks, and changes nothing."""

import shutil
from collections.abc import Iterator

from sqlalchemy import Connection, select

from ottava.controller.agents import AgentError
from ottava.controller.reconcile import load, observe
from ottava.controller.turn import Tools, Turn, TurnError
from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import LoadBalancer
from ottava.model.resource import Resource
from ottava.rules.plan import plan
from ottava.store import engine as engines
from ottava.store import work
from ottava.store.tables import table_of

WELL = (status.ONLINE, status.NO_MONITOR)

LATE = 5.0
"""Seconds after which what is due should have been taken."""
LITTLE_ROOM = 1 << 20
"""Bytes; with fewer left neither the database nor the files of an agent can be relied on to be written."""

# What only the operator can do about an error, by words in it.
_ADVICE = (
    (
        "parsing [",
        "HAProxy does not take what was asked for, and serves on with what it took last: change or delete the object "
        "that is in ERROR below.",
    ),
    (
        "does not answer at",
        "See whether `ottava agent` runs on that host and can be reached from here; what was applied there serves on.",
    ),
    (
        "in use",
        "Another process listens there: on the host, `ip netns exec NAMESPACE ss -lntup` shows it, where the "
        "namespace's name ends in the amphora's id. End it; nothing else is needed.",
    ),
    ("No space left", "Make room on the disk of that host; nothing else is needed."),
    ("disk is full", "Make room on the disk of the database; nothing else is needed."),
    ("no address is free", "Give back addresses in that subnet, or make it larger."),
)


def explain(tools: Tools, name_or_id: str) -> list[str]:
    """The state of the load balancer and what it lacks, a sentence a line.

    Raises errors.NotFound, errors.Duplicate (what="name", ids) when several have the name, errors.Unavailable.
    """
    with engines.reading(tools.engine) as conn:
        loadbalancer_id = find(conn, name_or_id)
        view = work.view(conn, loadbalancer_id)
    if view is None:
        raise errors.NotFound(resource=LoadBalancer.kind.word, id=name_or_id)
    claim = work.Claim(loadbalancer_id, view.epoch, view.generation, "", view.attempts, view.failing_since)
    turn = load(tools, claim)
    if turn is None:
        raise errors.NotFound(resource=LoadBalancer.kind.word, id=name_or_id)
    return [
        *_state(turn.graph),
        *_work(view),
        *_lacks(turn),
        *_faults(turn.graph, view.error),
        *_operating(turn.graph),
        *_room(tools),
        *_held_up(turn, view),
    ]


def find(conn: Connection, name_or_id: str) -> str:
    """The id of the load balancer that is meant. Raises errors.NotFound, errors.Duplicate."""
    table = table_of(LoadBalancer)
    for column in (table.c.id, table.c.name):
        found: list[str] = list(conn.execute(select(table.c.id).where(column == name_or_id).limit(10)).scalars())
        if len(found) > 1:
            raise errors.Duplicate(what="name", ids=found)
        if found:
            return found[0]
    raise errors.NotFound(resource=LoadBalancer.kind.word, id=name_or_id)


def _said(words: object) -> str:
    """Somebody else's words, to be followed by a full stop of ours."""
    return str(words).rstrip(". ")


def _called(thing: Resource) -> str:
    name = getattr(thing, "name", "")
    return f"{thing.kind.word} {name!r} ({thing.id})" if name else f"{thing.kind.word} {thing.id}"


def _state(graph: LoadBalancerGraph) -> Iterator[str]:
    balancer = graph.load_balancer
    yield (
        f"{_called(balancer)} is {balancer.provisioning_status}, "
        f"{balancer.operating_status}; its VIP is {balancer.vip_address}."
    )
    if graph.observed_generation == graph.generation:
        yield f"Everything that was asked for was applied (generation {graph.generation})."
    else:
        behind = graph.generation - graph.observed_generation
        changes = "1 change is" if behind == 1 else f"{behind} changes are"
        yield (
            f"{changes} not applied yet: generation {graph.generation} is asked for, "
            f"{graph.observed_generation} was applied."
        )


def _lacks(turn: Turn) -> Iterator[str]:
    """What stands between the wish and what is there now, found by asking the hosts."""
    alive = {view.name: view.alive for view in turn.host_views()}
    for amphora in turn.graph.amphorae.values():
        host = turn.hosts.get(amphora.host)
        if host is None or not alive.get(amphora.host):
            since = f"for {turn.now - host.last_seen:.0f} s" if host else "ever"
            yield (
                f"Amphora {amphora.id} is on host {amphora.host}, which has not been heard of {since}; it may serve "
                "on, with what was applied last. See whether `ottava agent` runs there and `ottava health` here."
            )
            continue
        try:
            found = turn.tools.agents.applied(host.name, host.url, amphora.id)
        except AgentError as error:
            yield f"Amphora {amphora.id} cannot be looked at: {_said(error)}."
            continue
        fault = f" ({_said(found.fault)})" if found.fault else ""
        yield (
            f"Amphora {amphora.id} on host {amphora.host} is {found.outcome.value}{fault}, "
            f"with generation {found.generation}."
        )
    try:
        observe(turn, ask=True)
        steps = plan(turn.graph, turn.observed)
    except (TurnError, errors.Refused) as error:
        yield f"What is missing cannot be said: {_said(error)}."
        return
    if not steps:
        yield "Nothing is missing."
    for step in steps:
        yield f"Still to do: {step.say()}."


def _work(view: work.WorkView) -> Iterator[str]:
    if view.error:
        since = f" in {view.now - view.failing_since:.0f} s" if view.failing_since else ""
        yield f"The last attempt failed ({view.attempts} in a row{since}): {_said(view.error)}."
        yield from (advice for words, advice in _ADVICE if words in view.error)
    if view.lease_owner and view.lease_until is not None:
        left = view.lease_until - view.now
        if left > -LATE:
            yield f"Controller {view.lease_owner} is at it now."
        else:
            yield f"Controller {view.lease_owner} was at it and has been silent for {-left:.0f} s. {_NO_CONTROLLER}"
    elif view.due_at is None:
        yield "It is not due again until something changes."
    elif view.due_at <= view.now - LATE:
        yield f"It has been due for {view.now - view.due_at:.0f} s and no controller has taken it. {_NO_CONTROLLER}"
    elif view.due_at <= view.now:
        yield "It is due now."
    else:
        what = "It is tried again" if view.error else "It is looked at again"
        left = view.due_at - view.now
        yield f"{what} in {left:.0f} s." if left >= 1 else f"{what} in a moment."


_NO_CONTROLLER = "See whether `ottava controller` runs, and what it logs."


def _faults(graph: LoadBalancerGraph, told: str | None) -> Iterator[str]:
    """What is not ACTIVE, and why, unless that was `told` already."""
    for thing in graph.objects():
        if thing.fault and thing.fault != told:
            yield f"{_called(thing)} is {thing.provisioning_status}: {_said(thing.fault)}."
        elif thing.fault and thing is not graph.load_balancer:
            yield f"{_called(thing)} is {thing.provisioning_status} for that reason."
        elif thing.provisioning_status != status.ACTIVE and thing is not graph.load_balancer:
            yield f"{_called(thing)} is {thing.provisioning_status}."


def _operating(graph: LoadBalancerGraph) -> Iterator[str]:
    """What does not work although it was applied: members above all."""
    for thing in graph.children():
        if thing.operating_status in WELL or thing.provisioning_status != status.ACTIVE:
            continue
        if getattr(thing, "admin_state_up", True):
            where = ""
            if thing.kind.name == "member":
                where = f" ({getattr(thing, 'address', '')} port {getattr(thing, 'protocol_port', '')})"
            yield f"{_called(thing)}{where} is {thing.operating_status}."
        else:
            yield f"{_called(thing)} is switched off (admin_state_up is false)."


def _held_up(turn: Turn, view: work.WorkView) -> Iterator[str]:
    """Where nothing moves although it should, the cause may be a database that only reads."""
    due = view.due_at if view.lease_until is None else view.lease_until
    if due is None or due > view.now - LATE:
        return
    try:
        with engines.writing(turn.tools.engine):
            pass
    except errors.Unavailable as error:
        yield (
            f"Nothing can be written down: {_said(error.facts['reason'])}. Until it can, changes wait or are refused, "
            "and what runs serves on; see which process holds the database."
        )


def _room(tools: Tools) -> Iterator[str]:
    """A full disk keeps everybody from writing down what is wrong, so it is looked for."""
    for folder in (tools.settings.state_dir, tools.settings.run_dir):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue
        if free < LITTLE_ROOM:
            yield (
                f"The disk of {folder} is full ({free} bytes are left): changes are refused or wait, and what runs "
                "serves on. Make room there; nothing else is needed."
            )
