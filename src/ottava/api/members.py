# SPDX-License-Identifier: Apache-2.0
"""Members of a pool: besides the five verbs, all of them at once (PUT on the collection)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import falcon
import msgspec
from sqlalchemy import Connection

from ottava.api import etags, forms, query_string, render, tree
from ottava.api.context import context
from ottava.api.resource import Collection, Home
from ottava.model import errors, status
from ottava.model.attribute import attributes
from ottava.model.graph import LoadBalancerGraph
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules import consistency
from ottava.rules.mutability import CREATE, DELETE, UPDATE
from ottava.store import query
from ottava.store.engine import reading

ARGUMENT = "members_"
Key = tuple[str, int]


class Wanted(NamedTuple):
    """One member as the body has it: every value with its default, and which keys were given."""

    values: forms.Values
    given: frozenset[str]

    @property
    def key(self) -> Key:
        """What tells members of a pool apart."""
        return str(self.values["address"]), int(str(self.values["protocol_port"]))


class Members(Collection):
    """List, create, and replace all."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        parent_id = ids["pool_id"]
        wanted = self.wanted(req)
        additive = query_string.flag(req.query_string, "additive_only")
        with reading(self.site.engine, snapshot=False) as conn:
            home = self.parent_in_url(conn, parent_id)
        who = context(req.env)
        for verb in ("post", "put") if additive else ("post", "put", "delete"):
            self.check(who, verb, home.project_id)
        self.ask_others(each.values for each in wanted)

        def job(conn: Connection, graph: LoadBalancerGraph) -> None:
            tree.require(graph, Pool, parent_id)
            etags.check(req, lambda: _whole(query.page(conn, Member, query.Query(), {"pool_id": parent_id})))
            changes = list(self.changes(graph, home, wanted, additive))
            if changes:
                tree.carry_out(self.site, conn, graph, who, changes)

        tree.writing(self.site, home.loadbalancer_id, self.needed, job)
        resp.status = 202

    def listed(self, req: falcon.Request, resp: falcon.Response, rows: Sequence[query.Found[Resource]]) -> None:
        """The list of all members has an ETag, for replacing all of them."""
        if not req.query_string:
            etags.put(resp, _whole(rows))

    def wanted(self, req: falcon.Request) -> list[Wanted]:
        """The members in the body. Raises what forms raise."""
        decoded = forms.body(req, ARGUMENT, self.site.settings.largest_body)
        listed = forms.root(decoded, "members", ARGUMENT)
        if not isinstance(listed, list):
            raise errors.BadValue(field=ARGUMENT, value=listed, reason="Value should be a list of members")
        form = forms.create_form(self.cls)._replace(argument=ARGUMENT)
        return [self._one(form, each) for each in listed]

    def _one(self, form: forms.Form, given: object) -> Wanted:
        if not isinstance(given, dict):
            raise errors.BadValue(field=ARGUMENT, value=given, reason="Value should be an object")
        forms.check_known(form, given, ("members",))
        return Wanted(forms.create(form, given), frozenset(given))

    def changes(
        self, graph: LoadBalancerGraph, home: Home, wanted: list[Wanted], additive: bool
    ) -> Iterator[tree.Change]:
        """What must be created, updated and deleted. Raises Invalid, Duplicate, and what consistency raises."""
        present = {
            (each.address, each.protocol_port): each
            for each in graph.members_of(home.parent_id)
            if each.provisioning_status != status.PENDING_DELETE
        }
        graph = without_members(graph)
        seen: set[Key] = set()
        for each in wanted:
            if each.key in seen:
                _twice(each.key, each.key in present)
            seen.add(each.key)
        if not additive:
            for key, member in present.items():
                if key not in seen:
                    yield tree.Change(DELETE, member)
        for each in wanted:
            old = present.get(each.key)
            yield self._update(graph, old, each) if old else self._create(graph, home, each)

    def _create(self, graph: LoadBalancerGraph, home: Home, wanted: Wanted) -> tree.Change:
        deployment = self.site.settings.deployment
        member = consistency.complete(graph, self.make(wanted.values, home), deployment)
        consistency.check(graph, member, deployment)
        return tree.Change(CREATE, member)

    def _update(self, graph: LoadBalancerGraph, old: Member, wanted: Wanted) -> tree.Change:
        values = {
            name: wanted.values[name]
            for name, attribute in attributes(Member).items()
            if attribute.update and (name in wanted.given or name not in ("name", "tags"))
        }
        new = msgspec.structs.replace(old, **values)
        consistency.check(graph, new, self.site.settings.deployment, old)
        return tree.Change(UPDATE, new, old)


def _whole(rows: Sequence[query.Found[Resource]]) -> list[render.Json]:
    """What the ETag of all members is made from: they themselves, but for those that are being deleted."""
    return [render.short(*row) for row in rows if row[0].provisioning_status != status.PENDING_DELETE]


def without_members(graph: LoadBalancerGraph) -> LoadBalancerGraph:
    """The graph for checking members that are known to differ: comparing each with each takes seconds for thousands."""
    return msgspec.structs.replace(graph, members={})


def check_distinct(members: Iterable[Member]) -> None:
    """Refuse two members of one pool with the same address and port. Raises Duplicate."""
    seen = set()
    for each in members:
        key = each.pool_id, each.address, each.protocol_port
        if key in seen:
            raise errors.Duplicate(what="member", address=each.address, protocol_port=each.protocol_port)
        seen.add(key)


def _twice(key: Key, exists: bool) -> None:
    if exists:
        raise errors.Invalid(reason="Member must be updated only once in the same request.")
    raise errors.Duplicate(what="member", address=key[0], protocol_port=key[1])
