# SPDX-License-Identifier: Apache-2.0
"""Amphorae, for administrators: what serves which load balancer where, and what can be done about one of them."""

import falcon
import msgspec
from sqlalchemy import Connection

from ottava.api import query_string, render, tree
from ottava.api.context import context
from ottava.api.resource import answer_page, usable
from ottava.api.site import Site
from ottava.model import errors, status
from ottava.model.amphora import AmphoraInFull
from ottava.model.attribute import attributes
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import LoadBalancer
from ottava.rules.mutability import FAILOVER
from ottava.store import amphorae, query, resources, statistics, work
from ottava.store.engine import reading, retrying

WORD = AmphoraInFull.kind.word


class Handler:
    """What handlers of amphorae share."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cls = AmphoraInFull
        self.kind = AmphoraInFull.kind

    def check(self, req: falcon.Request, verb: str, project_id: str | None = None) -> None:
        """Raises NotAllowed."""
        self.site.authorizer.check(context(req.env), f"amphora:{verb}", project_id)

    def find(self, conn: Connection, id: str) -> AmphoraInFull:
        """Raises NotFound."""
        found = query.show(conn, AmphoraInFull, id) if usable(id) else None
        if found is None:
            raise errors.NotFound(resource=WORD, id=id)
        return found[0]

    def allowed(self, req: falcon.Request, verb: str, id: str) -> AmphoraInFull:
        """The amphora, if the caller may do `verb` in the project of its load balancer. Raises NotFound, NotAllowed."""
        with reading(self.site.engine) as conn:
            found = self.find(conn, id)
        self.check(req, verb, found.project_id)
        return found


class Amphorae(Handler):
    """GET amphorae."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = query_string.read(req.query_string, attributes(AmphoraInFull), self.site.settings)
        self.check(req, "get_all")
        scope = {} if asked.project_id is None else {"project_id": asked.project_id}
        with reading(self.site.engine) as conn:
            rows = query.page(conn, AmphoraInFull, asked.query, scope)
        answer_page(self.site, req, resp, kind=self.kind, asked=asked, rows=rows)


class OneAmphora(Handler):
    """GET and DELETE amphorae/{id}."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, amphora_id: str) -> None:
        self.check(req, "get_one")
        fields = query_string.fields(req.query_string, self.site.settings)
        with reading(self.site.engine) as conn:
            found = self.find(conn, amphora_id)
        resp.data = msgspec.json.encode({self.kind.name: render.chosen(render.own(found), fields)})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, amphora_id: str) -> None:
        """Take one that is lost off the books; its load balancer is looked at, and gets another where it needs one."""
        self.check(req, "delete")

        def job(conn: Connection) -> None:
            found = self.find(conn, amphora_id)
            if found.status != status.ERROR:
                raise errors.Immutable(resource=self.kind.name, id=amphora_id)
            balancer = resources.get(conn, LoadBalancer, found.loadbalancer_id)
            if balancer is not None and not self.site.providers.carries_out(balancer.provider):
                amphorae.replace_all(conn, balancer.id)
                return
            amphorae.set_status(conn, [amphora_id], status.PENDING_DELETE)
            work.poke(conn, [found.loadbalancer_id])

        retrying(self.site.engine, job)
        self.site.wakeup.send()
        resp.status = 204


class Failover(Handler):
    """PUT amphorae/{id}/failover: another in its place."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, amphora_id: str) -> None:
        found = self.allowed(req, "put_failover", amphora_id)

        def job(conn: Connection, graph: LoadBalancerGraph) -> None:
            if amphora_id not in graph.amphorae:
                raise errors.NotFound(resource=WORD, id=amphora_id)
            self._check_state(graph.load_balancer)
            tree.carry_out(self.site, conn, graph, context(req.env), [tree.Change(FAILOVER, graph.load_balancer)])
            amphorae.set_status(conn, [amphora_id], status.PENDING_DELETE)

        tree.writing(self.site, found.loadbalancer_id, {"amphora"}, job)
        resp.status = 202

    def _check_state(self, balancer: LoadBalancer) -> None:
        strict = self.site.settings.immutable_while_pending
        state = balancer.provisioning_status
        if state == status.PENDING_DELETE or (strict and state != status.ACTIVE):
            raise errors.Immutable(resource=LoadBalancer.kind.word, id=balancer.id)


class Configure(Handler):
    """PUT amphorae/{id}/config: tell the amphora anew what it should be like."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, amphora_id: str) -> None:
        found = self.allowed(req, "put_config", amphora_id)
        retrying(self.site.engine, lambda conn: work.poke(conn, [found.loadbalancer_id]))
        self.site.wakeup.send()
        resp.status = 202


class Stats(Handler):
    """GET amphorae/{id}/stats: what went through it, listener by listener."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, amphora_id: str) -> None:
        self.check(req, "get_stats")
        with reading(self.site.engine) as conn:
            found = statistics.of_amphora(conn, amphora_id) if usable(amphora_id) else []
        if not found:
            raise errors.NotFound(resource="Amphora stats for", id=amphora_id)
        rows = [
            {
                "id": amphora_id,
                "listener_id": listener_id,
                "loadbalancer_id": tree_id,
                **msgspec.structs.asdict(counters),
            }
            for listener_id, _, tree_id, counters in found
        ]
        resp.data = msgspec.json.encode({"amphora_stats": rows})
