# SPDX-License-Identifier: Apache-2.0
"""What the events of a load balancer say."""

from sqlalchemy import Engine

from ottava.model.event import Event
from ottava.store import query
from ottava.store.engine import reading


def told(engine: Engine, loadbalancer_id: str) -> list[tuple[str, str, str]]:
    """What happened, the id of the object it happened to, and the words for it; the oldest first."""
    with reading(engine) as conn:
        found = query.page(conn, Event, query.Query(sort=(("id", False),)), {"loadbalancer_id": loadbalancer_id})
    return [(each.what, each.resource_id, each.message) for each, _ in found]
