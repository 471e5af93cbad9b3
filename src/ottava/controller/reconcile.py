# SPDX-License-Identifier: Apache-2.0
"""Bring one load balancer from what it is to what is wished: load, observe, plan, do, record.

Nothing here knows whether something was created, changed, deleted or lost: it looks at what is and
at what should be, and takes the steps in between.
"""

import logging
import random
from collections.abc import Callable

from sqlalchemy import Connection

from ottava.controller.agents import AgentError
from ottava.controller.steps import STEPS
from ottava.controller.turn import Failed, Lost, Refused, Tools, Turn, TurnError
from ottava.crash import crash_point
from ottava.model import errors, status
from ottava.model.amphora import Amphora
from ottava.model.event import APPLIED, FAILED, RETRIED
from ottava.model.graph import LoadBalancerGraph
from ottava.rules import health
from ottava.rules.failure import backoff
from ottava.rules.plan import AmphoraView, Observed, plan
from ottava.store import engine as engines
from ottava.store import events, graphs, hosts, work
from ottava.wire.applied import Outcome

LOG = logging.getLogger(__name__)

MOST_STEPS = 100
"""A plan that is not done after this many steps goes in circles."""


def reconcile(tools: Tools, claim: work.Claim, held: Callable[[], bool] = lambda: True) -> None:
    """Take one turn at the claimed load balancer, and give the claim back. Never raises an Exception.

    held: whether the lease still holds, as far as this process knows.
    """
    turn = None
    try:
        turn = load(tools, claim, held)
        if turn is None:
            return
        observe(turn)
        carry_out(turn)
        if not turn.gone:
            conclude(turn)
            crash_point("controller:settled")
    except Lost as lost:
        LOG.info("load balancer %s: left to another worker: %s", claim.loadbalancer_id, lost)
    except (TurnError, AgentError, errors.Refused) as error:
        _fall_back(tools, claim, turn, error)
    except Exception as error:
        # A defect at one load balancer must not end the work on all others.
        LOG.exception("load balancer %s: the turn broke off", claim.loadbalancer_id)
        words = f"a defect in Ottava ({type(error).__name__}); the controller's log says more"
        _fall_back(tools, claim, turn, Failed(words))
    else:
        if turn.said:
            LOG.info("load balancer %s: %s", claim.loadbalancer_id, "; ".join(turn.said))


def load(tools: Tools, claim: work.Claim, held: Callable[[], bool] = lambda: True) -> Turn | None:
    """The load balancer as it is wished, and the hosts; None if there is no such load balancer any more."""
    with engines.reading(tools.engine) as conn:
        graph = graphs.load(conn, claim.loadbalancer_id)
        if graph is None:
            return None
        known = {host.name: host for host in hosts.all(conn)}
        return Turn(tools, claim, graph, known, engines.now(conn), hosts.loads(conn), held)


def observe(turn: Turn, ask: bool | None = None) -> None:
    """Find out what exists.

    Nobody is asked while the wish is newer than what was last fulfilled: it must be applied whatever the answer
    would be, and applying it twice does no harm. At rest every host is asked. `ask` overrides that.
    """
    if ask is None:
        ask = turn.graph.generation == turn.graph.observed_generation
    views = {each.id: _look(turn, each) if ask else _presume(turn, each) for each in turn.graph.amphorae.values()}
    turn.observed = Observed(views, turn.host_views())


def _presume(turn: Turn, amphora: Amphora) -> AmphoraView:
    return AmphoraView(amphora.id, amphora.host, known=True, exists=True, current=False)


def _look(turn: Turn, amphora: Amphora) -> AmphoraView:
    host = turn.hosts.get(amphora.host)
    if host is None:
        return AmphoraView(amphora.id, amphora.host, known=False)
    try:
        found = turn.tools.agents.applied(host.name, host.url, amphora.id)
    except AgentError as error:
        LOG.info("load balancer %s: %s", turn.claim.loadbalancer_id, error)
        return AmphoraView(amphora.id, amphora.host, known=False)
    exists = found.outcome is not Outcome.ABSENT
    current = False
    if found.outcome is Outcome.SERVING and turn.graph.load_balancer.provisioning_status != status.PENDING_DELETE:
        current = found.digest == turn.wish(amphora).digest and found.generation == turn.graph.generation
    return AmphoraView(amphora.id, amphora.host, exists=exists, current=current)


def carry_out(turn: Turn) -> None:
    """Take the steps of the plan, planning again after each. Raises TurnError, AgentError."""
    for _ in range(MOST_STEPS):
        steps = () if turn.gone else plan(turn.graph, turn.observed)
        if not steps:
            return
        if not turn.held():
            raise Lost("the lease ran out")
        step, name = steps[0], type(steps[0]).__name__
        turn.said.append(step.say())
        crash_point(f"controller:{name}:before")
        STEPS[type(step)](turn, step)
        crash_point(f"controller:{name}:after")
    raise Failed(f"the plan goes in circles: {turn.said[-1]}")


def conclude(turn: Turn) -> None:
    """Record that the wish, as it was loaded, is so. Raises Lost."""
    tools, graph = turn.tools, turn.graph
    # Spread, so that load balancers made at one time are not looked at at one time for ever.
    again_in = tools.settings.resync * random.uniform(0.75, 1.25)  # noqa: S311
    new = graph.observed_generation < graph.generation or _unsettled(turn)

    def write(conn: Connection) -> None:
        if not work.finish(conn, turn.claim, graph.generation, again_in):
            raise Lost("another worker has it")
        if new:
            graphs.settle(conn, graph.load_balancer.id, graph.generation)
            graphs.set_operating(conn, health.applied(graph))
        if new or turn.said:
            _tell(conn, tools, graph, APPLIED, "; ".join(turn.said))

    engines.retrying(tools.engine, write)


def _unsettled(turn: Turn) -> bool:
    return any(each.provisioning_status != status.ACTIVE for each in turn.graph.objects())


def _tell(conn: Connection, tools: Tools, graph: LoadBalancerGraph, what: str, words: str) -> None:
    id, keep = graph.load_balancer.id, tools.settings.events_kept
    events.record(conn, [events.new(id, what, graph.generation, words)], keep)
    events.prune(conn, id, keep)


def _is_news(before: work.WorkView | None, turn: Turn, reason: str, hopeless: bool) -> bool:
    """Whether a failure is another one than the last."""
    balancer = turn.graph.load_balancer
    if hopeless:
        return (balancer.provisioning_status, balancer.fault) != (status.ERROR, reason)
    return before is None or before.error != reason


def _fall_back(tools: Tools, claim: work.Claim, turn: Turn | None, error: Exception) -> None:
    """Try again later; a wish that is refused, or fails for long, is ERROR with the reason, and is tried on slowly."""
    settings = tools.settings
    refused = isinstance(error, Refused)
    pause = backoff(claim.attempts, settings.retry_base, settings.retry_cap, random.random())  # noqa: S311
    if refused:
        pause = settings.retry_cap
    reason = str(error) or type(error).__name__
    level = logging.INFO if turn is not None and turn.early() else logging.WARNING
    LOG.log(level, "load balancer %s: %s; next try in %.1f s", claim.loadbalancer_id, reason, pause)

    def write(conn: Connection) -> None:
        before = work.view(conn, claim.loadbalancer_id)
        if not work.postpone(conn, claim, pause, reason):
            return
        failing = engines.now(conn) - (claim.failing_since or engines.now(conn))
        hopeless = refused or failing >= settings.error_after
        if turn is not None and _is_news(before, turn, reason, hopeless):
            _tell(conn, tools, turn.graph, FAILED if hopeless else RETRIED, reason)
        if turn is not None and hopeless:
            culprits = error.culprits if isinstance(error, Refused) else ()
            graphs.blame(conn, claim.loadbalancer_id, turn.graph.generation, reason, culprits)

    try:
        engines.retrying(tools.engine, write)
    except errors.Refused as trouble:
        # The lease runs out, and whoever claims next tries again.
        LOG.warning("load balancer %s: cannot record the failure: %s", claim.loadbalancer_id, trouble)
