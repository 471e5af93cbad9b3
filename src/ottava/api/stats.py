# SPDX-License-Identifier: Apache-2.0
"""GET .../stats: what went through a load balancer or a listener."""

from collections.abc import Callable

import falcon
import msgspec
from sqlalchemy import Connection

from ottava.api.context import context
from ottava.api.resource import Handler, find
from ottava.api.site import Site
from ottava.model.resource import Resource
from ottava.store.engine import reading
from ottava.wire.heartbeat import Counters


class Stats(Handler):
    """The sums that `read` finds for an object."""

    def __init__(self, site: Site, cls: type[Resource], read: Callable[[Connection, str], Counters]) -> None:
        super().__init__(site, cls)
        self.read = read

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, _ = self.ids(ids)
        with reading(self.site.engine) as conn:
            thing = find(conn, self.cls, id)
            counters = self.read(conn, id)
        self.check(context(req.env), "get_stats", thing.project_id)
        resp.data = msgspec.json.encode({"stats": counters})
