# SPDX-License-Identifier: Apache-2.0
"""What load balancers have beyond other resources: their VIP, their whole tree in one body, cascade, failover."""

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

import falcon
import msgspec
from sqlalchemy import Connection

from ottava.api import forms, offers, query_string, render, tree
from ottava.api.context import Context, context
from ottava.api.populated import Populated
from ottava.api.resource import Collection, Handler, Item, check_subnets, find
from ottava.cloud.network.base import NetworkService, Vip
from ottava.crash import crash_point
from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.load_balancer import LoadBalancer
from ottava.model.resource import Resource
from ottava.rules import consistency
from ottava.rules.mutability import FAILOVER
from ottava.store import amphorae, graphs, resources
from ottava.store.engine import reading, retrying, timestamp


class LoadBalancers(Collection):
    """List and create load balancers."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        form = forms.create_form(LoadBalancer)
        given = self.body(req, form)
        forms.check_known(form, given, (self.kind.name,))
        who = context(req.env)
        balancer = self._wished(who, forms.create(form, given))
        self.check(who, "post", balancer.project_id)
        if given.get("vip_sg_ids") is not None:
            self.check(who, "post:vip_sg_ids", balancer.project_id)
        deployment = self.site.settings.deployment
        consistency.check(LoadBalancerGraph(load_balancer=balancer), balancer, deployment)
        balancer = offers.settled(self.site, balancer, named=given.get("provider") is not None)
        graph = Populated(balancer, given, deployment).graph
        check_port(self.site.network, balancer.vip_qos_policy_id, balancer.vip_sg_ids)
        check_subnets(self.site.network, (member.subnet_id for member in graph.members.values()))
        provider = self.site.providers.get(balancer.provider)
        for thing in graph.objects():
            provider.check(thing, graph)
        if not provider.carries_out:
            for thing in graph.objects():
                thing.provisioning_status = status.ACTIVE
        self._carry_out(graph, who)
        self.answer(resp, render.root(graph), 201, render.tree(graph))

    def _wished(self, who: Context, values: forms.Values) -> LoadBalancer:
        given = {name: value for name, value in values.items() if value is not None}
        wish: forms.Values = {
            **values,
            "id": str(uuid.uuid4()),
            "project_id": given.get("project_id") or who.project_id,
            "created_at": timestamp(),
            "generation": 1,
        }
        return LoadBalancer(**wish)

    def _port(self, wish: LoadBalancer) -> Vip:
        """The port of the virtual IP; that its address is taken is told only where the quota is not met."""
        try:
            return self.site.network.create_port(
                wish.id,
                wish.project_id,
                f"ottava-lb-{wish.id}",
                network_id=wish.vip_network_id,
                subnet_id=wish.vip_subnet_id,
                port_id=wish.vip_port_id,
                address=wish.vip_address,
                additional=wish.additional_vips,
            )
        except errors.Duplicate:
            wanted = {wish.kind.policy: 1}
            retrying(self.site.engine, lambda conn: tree.reserve(self.site, conn, wish.project_id, wanted))
            raise

    def _carry_out(self, graph: LoadBalancerGraph, who: Context) -> None:
        """Make the VIP's port, then write the tree; a tree that is not written leaves no port behind."""
        wish = graph.load_balancer
        # Later the controller may take the port for an orphan; what is left of its grace is for the commit.
        until = time.monotonic() + self.site.settings.orphan_grace / 2
        vip = self._port(wish)
        crash_point("api:port")
        try:
            graph.load_balancer = msgspec.structs.replace(
                wish,
                vip_port_id=vip.port_id,
                vip_network_id=vip.network_id,
                vip_subnet_id=vip.subnet_id,
                vip_address=vip.address,
                additional_vips=vip.additional,
            )
            for thing in (graph.load_balancer, *graph.listeners.values()):
                consistency.check(graph, thing, self.site.settings.deployment)
            retrying(self.site.engine, lambda conn: self._write(conn, graph, who, until))
        except BaseException:
            self._give_back(vip.port_id, wish.id)
            raise
        crash_point("api:committed")
        self.site.wakeup.send()

    def _give_back(self, port_id: str, loadbalancer_id: str) -> None:
        """Release the port, unless the tree was written although its commit was not confirmed."""
        with reading(self.site.engine) as conn:
            written = resources.place(conn, LoadBalancer, loadbalancer_id)
        if written is None:
            self.site.network.release_port(port_id, loadbalancer_id)

    def _write(self, conn: Connection, graph: LoadBalancerGraph, who: Context, until: float) -> None:
        if time.monotonic() > until:
            raise errors.Unavailable(reason="the load balancer could not be written in time")
        if resources.place(conn, LoadBalancer, graph.load_balancer.id) is not None:
            return  # by an attempt before this one, whose commit was not confirmed
        wanted = Counter(thing.kind.policy for thing in graph.objects())
        tree.reserve(self.site, conn, graph.load_balancer.project_id, wanted)
        offers.hold(self.site, conn, graph.load_balancer)
        done = not self.site.providers.carries_out(graph.load_balancer.provider)
        resources.insert_many(conn, graph.objects(), done)
        if done:
            amphorae.replace_all(conn, graph.load_balancer.id)
        tree.tell_created(self.site, conn, graph, who)
        crash_point("api:before-commit")


def check_port(network: NetworkService, qos_policy_id: str | None, security_group_ids: Sequence[str]) -> None:
    """Refuse what the port of a virtual IP cannot have. Raises Invalid, BadReference."""
    if qos_policy_id is not None or security_group_ids:
        network.check_port(qos_policy_id, security_group_ids)


class OneLoadBalancer(Item):
    """Show, update and delete a load balancer."""

    def check_update(self, req: falcon.Request, thing: Resource, changes: forms.Values) -> None:
        if "vip_sg_ids" in changes:
            self.check(context(req.env), "put:vip_sg_ids", thing.project_id)
        check_port(self.site.network, changes.get("vip_qos_policy_id"), changes.get("vip_sg_ids", ()))

    def deleted(self, thing: Resource) -> None:
        assert isinstance(thing, LoadBalancer)
        if not self.site.providers.carries_out(thing.provider):
            self.site.network.release_port(thing.vip_port_id or "", thing.id)

    def check_delete(self, req: falcon.Request, graph: LoadBalancerGraph, thing: Resource) -> None:
        consistency.check_delete(graph, thing, query_string.flag(req.query_string, "cascade"))


class Status(Handler):
    """GET loadbalancers/{id}/status: the tree, with its statuses."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, _ = self.ids(ids)
        with reading(self.site.engine) as conn:
            balancer = find(conn, LoadBalancer, id)
            self.check(context(req.env), "get_status", balancer.project_id)
            graph = graphs.load(conn, id)
        if graph is None:
            raise errors.NotFound(resource=self.kind.word, id=id)
        resp.data = msgspec.json.encode({"statuses": {"loadbalancer": render.statuses(graph)}})


class Failover(Handler):
    """PUT loadbalancers/{id}/failover: new amphorae in place of those that serve now."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, _ = self.ids(ids)
        self._no_body(req)
        with reading(self.site.engine) as conn:
            balancer = find(conn, LoadBalancer, id)
        self.check(context(req.env), "put_failover", balancer.project_id)

        def job(conn: Connection, graph: LoadBalancerGraph) -> None:
            who = context(req.env)
            tree.carry_out(self.site, conn, graph, who, [tree.Change(FAILOVER, graph.load_balancer)])
            amphorae.set_status(conn, graph.amphorae, "PENDING_DELETE")

        tree.writing(self.site, id, {"amphora"}, job)
        resp.status = 202

    def _no_body(self, req: falcon.Request) -> None:
        if req.content_length:
            given: object = forms.body(req, self.kind.argument, self.site.settings.largest_body)
            if given != {}:
                key = ", ".join(sorted(given)) if isinstance(given, Mapping) else given
                raise errors.UnknownAttribute(argument=self.kind.argument, path=(), key=key)
