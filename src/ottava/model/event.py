# SPDX-License-Identifier: Apache-2.0
"""Events: what happened to a load balancer, and why. They are for people; nothing that Ottava does depends on them."""

from typing import Annotated

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Scalar
from ottava.model.resource import Declared

ACCEPTED, APPLIED, RETRIED, FAILED, SEEN, LOST = "accepted", "applied", "retried", "failed", "seen", "lost"
WHAT = (ACCEPTED, APPLIED, RETRIED, FAILED, SEEN, LOST)
"""A wish was taken; it was carried out, or what was amiss was mended; it was tried in vain, and will be again; it is
ERROR; an operating status changed; an amphora was lost."""


def _seen(scalar: Scalar, about: str, rendered: bool = True) -> Attribute:
    return Attribute(scalar, about, create=Create.NEVER, rendered=rendered, filterable=rendered)


class Event(Declared, kw_only=True):
    """One thing that happened."""

    kind = Kind(name="event", plural="events", word="Event", argument="event", policy="event")

    id: Annotated[str, _seen(scalars.IDENTIFIER, "The id; those of later events are greater.")]
    loadbalancer_id: Annotated[str, _seen(scalars.IDENTIFIER, "The load balancer that it is about.", rendered=False)]
    created_at: Annotated[str, _seen(scalars.TIMESTAMP, "When it happened.")]
    what: Annotated[str, _seen(scalars.one_of(*WHAT), "What happened.")]
    resource_type: Annotated[str, _seen(scalars.string(32), "The kind of the object that it happened to.")]
    resource_id: Annotated[str, _seen(scalars.IDENTIFIER, "The id of that object.")]
    generation: Annotated[int, _seen(scalars.integer(0), "That of the load balancer then; writes count it up.")]
    user_id: Annotated[str | None, _seen(scalars.TEXT_255, "Whose request it was, where it was one.")] = None
    request_id: Annotated[str | None, _seen(scalars.TEXT_255, "The id of that request.")] = None
    message: Annotated[
        str, Attribute(scalars.FAULT, "What there is to say of it.", create=Create.NEVER, filterable=False)
    ] = ""
