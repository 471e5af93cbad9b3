# SPDX-License-Identifier: Apache-2.0
"""What creating a pool has beyond other resources: it may be told a listener, whose default pool it becomes."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from ottava.api import forms, tree
from ottava.api.resource import Collection, Home, find
from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.listener import Listener
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules import consistency

LISTENER = "listener_id"


class Pools(Collection):
    """List and create pools."""

    def read(self, given: Mapping[str, object]) -> forms.Values:
        values = super().read(given)
        if values.get(LISTENER) is None and values.get("loadbalancer_id") is None:
            raise errors.Invalid(reason="Must provide at least one of: loadbalancer_id, listener_id")
        return values

    def home(self, conn: Connection, values: forms.Values) -> Home:
        listener_id, wanted = values.get(LISTENER), values.get("loadbalancer_id")
        if listener_id is None:
            return super().home(conn, values)
        listener = find(conn, Listener, str(listener_id))
        if wanted not in (None, listener.loadbalancer_id):
            self.parent(conn, str(wanted))
            raise errors.NotFound(resource=Listener.kind.word, id=listener_id)
        return Home(listener.loadbalancer_id, listener.loadbalancer_id, listener.project_id)

    def make(self, values: forms.Values, home: Home) -> Resource:
        return super().make({name: value for name, value in values.items() if name != LISTENER}, home)

    def complete(
        self, graph: LoadBalancerGraph, thing: Resource, values: forms.Values
    ) -> tuple[list[tree.Change], list[tree.Adjustment]]:
        changes, moved = super().complete(graph, thing, values)
        listener_id = values.get(LISTENER)
        if listener_id is None:
            return changes, moved
        pool = changes[0].thing
        assert isinstance(pool, Pool)
        consistency.check_attach(graph, pool, str(listener_id))
        listener = msgspec.structs.replace(graph.listeners[str(listener_id)], default_pool_id=pool.id)
        graph.listeners[listener.id] = listener
        return changes, [*moved, tree.Adjustment(Listener, listener.id, {"default_pool_id": pool.id})]
