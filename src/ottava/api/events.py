# SPDX-License-Identifier: Apache-2.0
"""GET loadbalancers/{id}/events: what happened to a load balancer, and why, newest first."""

import falcon
import msgspec

from ottava.api import query_string
from ottava.api.context import context
from ottava.api.resource import Handler, answer_page, find
from ottava.model.attribute import attributes
from ottava.model.event import Event
from ottava.model.load_balancer import LoadBalancer
from ottava.store import query
from ottava.store.engine import reading


class Events(Handler):
    """Filtered, sorted and paged like any list."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, _ = self.ids(ids)
        asked = query_string.read(req.query_string, attributes(Event), self.site.settings)
        wanted = msgspec.structs.replace(asked.query, sort=asked.query.sort or (("id", True),))
        with reading(self.site.engine) as conn:
            balancer = find(conn, LoadBalancer, id)
            self.check(context(req.env), "get_events", balancer.project_id)
            rows = query.page(conn, Event, wanted, {"loadbalancer_id": id})
        answer_page(self.site, req, resp, kind=Event.kind, asked=asked, rows=rows)
