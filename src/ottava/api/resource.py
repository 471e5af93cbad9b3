# SPDX-License-Identifier: Apache-2.0
"""The five verbs of any declared resource: list, create, show, update, delete.

A write goes: form (400), parent (404), policy (403), then one transaction: lock, consistency (400, 409), quota (403),
state (409), the objects with their new generation; then a wake-up, then the answer.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import falcon
import msgspec
from sqlalchemy import Connection

from ottava.api import etags, forms, query_string, render, tree
from ottava.api.context import Context, context
from ottava.api.errors import NoParent
from ottava.api.paths import asked_url
from ottava.api.site import Site
from ottava.cloud.network.base import NetworkService
from ottava.model import errors
from ottava.model.attribute import Kind, attributes
from ottava.model.graph import RESOURCES, LoadBalancerGraph
from ottava.model.resource import Declared, Resource
from ottava.rules import consistency
from ottava.rules.mutability import CREATE, DELETE, UPDATE
from ottava.store import query, resources
from ottava.store.engine import reading, timestamp
from ottava.store.resources import Place

D = TypeVar("D", bound=Declared)

LONGEST_ID = 36


class Home(NamedTuple):
    """Where an object belongs: its parent, and with it the load balancer and the project."""

    parent_id: str
    loadbalancer_id: str
    project_id: str


def usable(id: str) -> bool:
    """Whether an id out of a URL can be asked of any database."""
    return len(id) <= LONGEST_ID and "\x00" not in id


def find(conn: Connection, cls: type[Resource], id: str) -> Place:
    """Where the object with an id out of a URL or a body belongs. Raises NotFound."""
    found = resources.place(conn, cls, id) if usable(id) else None
    if found is None:
        raise errors.NotFound(resource=cls.kind.word, id=id)
    return found


def check_subnets(network: NetworkService, ids: Iterable[str | None]) -> None:
    """Raises BadReference for a subnet that does not exist."""
    for id in dict.fromkeys(ids):
        if id is not None and not network.subnet_exists(id):
            raise errors.BadReference(kind="Subnet", id=id)


def answer_page(
    site: Site,
    req: falcon.Request,
    resp: falcon.Response,
    *,
    kind: Kind,
    asked: query_string.Asked,
    rows: Sequence[query.Found[D]],
) -> None:
    """Answer what was asked for of a page of a list, and the links to the pages around it."""
    things = [render.chosen(render.short(*row), asked.fields) for row in rows]
    answer: dict[str, object] = {kind.plural: things}
    if site.settings.allow_pagination:
        keys = [str(getattr(thing, kind.key)) for thing, _ in rows]
        url = asked_url(req.env, site.settings.base_uri)
        answer[kind.links or f"{kind.plural}_links"] = query_string.links(asked, url, keys)
    resp.data = msgspec.json.encode(answer)


class Handler:
    """What handlers of one resource share."""

    def __init__(self, site: Site, cls: type[Resource]) -> None:
        self.site = site
        self.cls = cls
        self.kind = cls.kind
        self.needed = consistency.kinds_needed(cls.kind.name) | {cls.kind.name}

    def ids(self, ids: Mapping[str, str]) -> tuple[str, str | None]:
        """Out of the ids in a URL, the object's own and, where it stands there too, its parent's."""
        return ids[self.kind.parameter], ids.get(str(self.kind.parent))

    def check(self, who: Context, verb: str, project_id: str) -> None:
        """Raises NotAllowed."""
        self.site.authorizer.check(who, f"{self.kind.policy}:{verb}", project_id)

    def parent(self, conn: Connection, parent_id: str) -> Home:
        """The home of objects whose parent has this id. Raises NotFound."""
        assert self.kind.parent is not None
        cls = RESOURCES[self.kind.parent.removesuffix("_id")]
        found = find(conn, cls, parent_id)
        return Home(parent_id, found.loadbalancer_id, found.project_id)

    def parent_in_url(self, conn: Connection, parent_id: str) -> Home:
        """The same for a parent that stands in the URL, whose absence is a fault of the route. Raises NoParent."""
        try:
            return self.parent(conn, parent_id)
        except errors.NotFound as error:
            raise NoParent(str(error.facts["resource"]).replace(" ", ""), parent_id) from None

    def show(self, conn: Connection, id: str) -> render.Json:
        """The object as it is now. Raises NotFound."""
        found = query.show(conn, self.cls, id)
        if found is None:
            raise errors.NotFound(resource=self.kind.word, id=id)
        return render.short(*found)

    def answer(
        self, resp: falcon.Response, shown: render.Json, status: int = 200, answer: render.Json | None = None
    ) -> None:
        """Answer one object under its key, with its ETag. shown: as GET shows it; answer: what is said instead."""
        resp.status = status
        etags.put(resp, shown)
        resp.data = msgspec.json.encode({self.kind.name: shown if answer is None else answer})

    def body(self, req: falcon.Request, form: forms.Form) -> Mapping[str, object]:
        """The object in the body, not yet read."""
        return forms.entity(forms.body(req, form.argument, self.site.settings.largest_body), form)


class Collection(Handler):
    """List and create."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        parent_id = ids.get(str(self.kind.parent))
        asked = query_string.read(req.query_string, attributes(self.cls), self.site.settings)
        who = context(req.env)
        with reading(self.site.engine, snapshot=False) as conn:
            rows = query.page(conn, self.cls, asked.query, self.scope(conn, who, asked.project_id, parent_id))
        answer_page(self.site, req, resp, kind=self.kind, asked=asked, rows=rows)
        self.listed(req, resp, rows)

    def listed(self, req: falcon.Request, resp: falcon.Response, rows: Sequence[query.Found[Resource]]) -> None:
        """What a list answers besides."""

    def scope(self, conn: Connection, who: Context, asked: str | None, parent_id: str | None) -> dict[str, str]:
        """What the list is restricted to. Raises NotAllowed, NoParent."""
        if parent_id is None or self.kind.parent is None:
            project = self.site.authorizer.list_scope(who, self.kind.policy, asked)
            return {} if project is None else {"project_id": project}
        home = self.parent_in_url(conn, parent_id)
        self.check(who, "get_all", home.project_id)
        return {self.kind.parent: parent_id} | ({} if asked is None else {"project_id": asked})

    def on_post(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        parent_id = ids.get(str(self.kind.parent))
        values = self.read(self.body(req, forms.create_form(self.cls)))
        with reading(self.site.engine, snapshot=False) as conn:
            home = self.home(conn, values) if parent_id is None else self.parent_in_url(conn, parent_id)
        self.check(context(req.env), "post", home.project_id)
        self.ask_others([values])
        thing = self.make(values, home)

        def job(conn: Connection, graph: LoadBalancerGraph) -> render.Json:
            with tree.clashes_last(self.site, conn, graph, thing):
                changes, moved = self.complete(graph, thing, values)
            tree.carry_out(self.site, conn, graph, context(req.env), changes, adjustments=moved)
            return self.show(conn, thing.id)

        self.answer(resp, tree.writing(self.site, home.loadbalancer_id, self.needed, job), 201)

    def read(self, given: Mapping[str, object]) -> forms.Values:
        """The values of a body. Raises what forms raise."""
        form = forms.create_form(self.cls)
        forms.check_known(form, given, (self.kind.name,))
        forms.refuse_nested(form, given)
        return forms.create(form, given)

    def home(self, conn: Connection, values: forms.Values) -> Home:
        """The home of what is to be created, by its values. Raises NotFound."""
        return self.parent(conn, str(values[str(self.kind.parent)]))

    def ask_others(self, wanted: Iterable[forms.Values]) -> None:
        """Refuse what other services know nothing of; before the transaction, which calls none. Raises BadReference."""
        check_subnets(self.site.network, (values.get("subnet_id") for values in wanted))

    def make(self, values: forms.Values, home: Home) -> Resource:
        """The new object."""
        return self.cls(**{
            **values,
            str(self.kind.parent): home.parent_id,
            "id": str(uuid.uuid4()),
            "project_id": home.project_id,
            "loadbalancer_id": home.loadbalancer_id,
            "created_at": timestamp(),
        })  # fmt: skip

    def complete(
        self, graph: LoadBalancerGraph, thing: Resource, values: forms.Values
    ) -> tuple[list[tree.Change], list[tree.Adjustment]]:
        """What creating `thing` changes, checked against the locked graph. Raises what consistency raises."""
        whole = consistency.complete(graph, thing, self.site.settings.deployment)
        consistency.check(graph, whole, self.site.settings.deployment)
        change, moved = tree.placed(graph, tree.Change(CREATE, whole))
        return [change], moved


class Item(Handler):
    """Show, update and delete."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, parent_id = self.ids(ids)
        fields = query_string.fields(req.query_string, self.site.settings)
        with reading(self.site.engine, snapshot=False) as conn:
            found = query.show(conn, self.cls, id) if usable(id) else None
            thing = self.expect(conn, found[0] if found else None, id, parent_id)
        self.check(context(req.env), "get_one", thing.project_id)
        assert found is not None
        shown = render.short(*found)
        self.answer(resp, shown, answer=render.chosen(shown, fields))

    def on_put(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, parent_id = self.ids(ids)
        form = forms.update_form(self.cls)
        given = self.body(req, form)
        forms.check_known(form, given, (self.kind.name,))
        changes = forms.update(form, given)
        thing = self.allowed(req, "put", id, parent_id)
        self.check_update(req, thing, changes)

        def job(conn: Connection, graph: LoadBalancerGraph) -> render.Json:
            old = tree.require(graph, self.cls, id)
            etags.check(req, lambda: self.show(conn, id))
            new = consistency.merge(old, changes, self.site.settings.deployment)
            consistency.check(graph, new, self.site.settings.deployment, old)
            change, moved = tree.placed(graph, tree.Change(UPDATE, new, old))
            tree.carry_out(self.site, conn, graph, context(req.env), [change], adjustments=moved)
            return self.show(conn, id)

        self.answer(resp, tree.writing(self.site, resources.tree_of(thing), self.needed, job))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        id, parent_id = self.ids(ids)
        thing = self.allowed(req, "delete", id, parent_id)

        def job(conn: Connection, graph: LoadBalancerGraph) -> None:
            current = tree.require(graph, self.cls, id)
            etags.check(req, lambda: self.show(conn, id))
            self.check_delete(req, graph, current)
            tree.carry_out(self.site, conn, graph, context(req.env), [tree.Change(DELETE, current)])

        tree.writing(self.site, resources.tree_of(thing), self.needed, job)
        self.deleted(thing)
        resp.status = 204

    def check_update(self, req: falcon.Request, thing: Resource, changes: forms.Values) -> None:
        """Raises what else forbids the update, before the transaction, which calls no other service."""

    def deleted(self, thing: Resource) -> None:
        """What is left to do once the deletion is written."""

    def check_delete(self, req: falcon.Request, graph: LoadBalancerGraph, thing: Resource) -> None:
        """Raises what forbids the deletion."""
        consistency.check_delete(graph, thing)

    def allowed(self, req: falcon.Request, verb: str, id: str, parent_id: str | None) -> Resource:
        """The object, if it is there and the caller may do `verb` with it. Raises NotFound, NoParent, NotAllowed."""
        with reading(self.site.engine, snapshot=False) as conn:
            thing = self.expect(conn, resources.get(conn, self.cls, id) if usable(id) else None, id, parent_id)
        self.check(context(req.env), verb, thing.project_id)
        return thing

    def expect(self, conn: Connection, found: Resource | None, id: str, parent_id: str | None) -> Resource:
        """`found`, if it is there and below the parent that the URL names. Raises NotFound, NoParent."""
        if found is not None and (parent_id is None or getattr(found, str(self.kind.parent)) == parent_id):
            return found
        if parent_id is not None:
            self.parent_in_url(conn, parent_id)
        raise errors.NotFound(resource=self.kind.word, id=id)
