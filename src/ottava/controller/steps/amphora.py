# SPDX-License-Identifier: Apache-2.0
"""The steps that make and unmake amphorae."""

import uuid

from ottava.controller.turn import Failed, Lost, Refused, Turn
from ottava.model.amphora import Amphora
from ottava.rules.plan import AmphoraView, ApplyAmphora, PlaceAmphora, RemoveAmphora
from ottava.store import amphorae
from ottava.store.engine import timestamp
from ottava.wire.applied import Applied, Outcome


def place(turn: Turn, step: PlaceAmphora) -> None:
    """Write the amphora down before its host hears of it: what a crash leaves behind is always on the books."""
    amphora = Amphora(
        id=str(uuid.uuid4()), loadbalancer_id=turn.graph.load_balancer.id, host=step.host, created_at=timestamp()
    )
    turn.write(lambda conn: amphorae.place(conn, amphora))
    turn.graph.amphorae[amphora.id] = amphora
    turn.saw(AmphoraView(amphora.id, step.host), amphora.id)


def apply(turn: Turn, step: ApplyAmphora) -> None:
    """Send the host what is wished, and understand what came of it."""
    wish = turn.wish(turn.graph.amphorae[step.amphora_id])
    host = turn.host(step.host)
    answer = turn.tools.agents.apply(host.name, host.url, wish)
    turn.said.extend(answer.actions)
    if answer.outcome is Outcome.SERVING:
        turn.saw(AmphoraView(step.amphora_id, step.host, exists=True, current=True), step.amphora_id)
    elif answer.outcome is Outcome.REFUSED:
        raise Refused(answer.fault, answer.culprits)
    else:
        _fenced(answer)
        raise Failed(answer.fault or f"host {step.host} could not apply it and did not say why")


def remove(turn: Turn, step: RemoveAmphora) -> None:
    """Off the host, then off the books. One that is on a lost host is taken off the books alone: when the host comes
    back, the sweep for orphans removes it there."""
    if step.host_alive:
        host, generation = turn.host(step.host), turn.graph.generation
        answer = turn.tools.agents.remove(host.name, host.url, step.amphora_id, turn.claim.epoch, generation)
        _fenced(answer)
        if answer.outcome is not Outcome.ABSENT:
            raise Failed(answer.fault or f"host {step.host} could not remove it and did not say why")
    turn.write(lambda conn: amphorae.forget(conn, step.amphora_id))
    turn.graph.amphorae.pop(step.amphora_id, None)
    turn.saw(None, step.amphora_id)


def _fenced(answer: Applied) -> None:
    if answer.outcome is Outcome.FENCED:
        raise Lost(f"the host has seen a newer epoch than ours: {answer.fault}")
