# SPDX-License-Identifier: Apache-2.0
"""Quotas of projects: read, set, reset. A number of None in the database is the operator's default."""

from collections.abc import Mapping

import falcon
import msgspec
from sqlalchemy import Connection

from ottava.api import etags, forms, query_string, render
from ottava.api.context import context
from ottava.api.paths import asked_url
from ottava.api.resource import usable
from ottava.api.site import Site
from ottava.model import errors, scalars
from ottava.model.attribute import Attribute, attributes
from ottava.model.quota import ALIASES, Quota
from ottava.store import quotas
from ottava.store.engine import reading, retrying

ARGUMENT = "quotas"
WORD = "Quotas"

LISTED: Mapping[str, Attribute] = {"project_id": Attribute(scalars.PROJECT, "The project."), **attributes(Quota)}


class _Handler:
    def __init__(self, site: Site) -> None:
        self.site = site

    def check(self, req: falcon.Request, verb: str, project_id: str) -> None:
        """Raises NotFound for what can be no project, NotAllowed."""
        if not usable(project_id):
            raise errors.NotFound(resource=WORD, id=project_id)
        self.site.authorizer.check(context(req.env), f"quota:{verb}", project_id)

    def shown(self, quota: Quota) -> render.Json:
        """The limits that hold, under every spelling."""
        answer: render.Json = {"project_id": quota.project_id, "tenant_id": quota.project_id}
        for name, default in self.site.settings.quotas.items():
            own = getattr(quota, name)
            answer[name] = default if own is None else own
        return answer | {alias: answer[name] for alias, name in ALIASES.items()}

    def answer(self, req: falcon.Request, resp: falcon.Response, quota: Quota, status: int = 200) -> None:
        """Answer one quota."""
        resp.status = status
        fields = query_string.fields(req.query_string, self.site.settings) if req.method == "GET" else ()
        shown = self.shown(quota)
        etags.put(resp, shown)
        resp.data = msgspec.json.encode({"quota": render.chosen(shown, fields)})


class Quotas(_Handler):
    """GET quotas: those of every project that is known."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        settings = self.site.settings
        asked = query_string.read(req.query_string, LISTED, settings)
        project = self.site.authorizer.list_scope(context(req.env), "quota", asked.project_id)
        with reading(self.site.engine) as conn:
            found = [self.shown(each) for each in quotas.all(conn, project)]
        page = _page(found, asked)
        answer: render.Json = {"quotas": [render.chosen(each, asked.fields) for each in page]}
        if settings.allow_pagination:
            ids = [str(each["project_id"]) for each in page]
            answer["quotas_links"] = query_string.links(asked, asked_url(req.env, settings.base_uri), ids)
        resp.data = msgspec.json.encode(answer)


def _page(found: list[render.Json], asked: query_string.Asked) -> list[render.Json]:
    """The page of a list that is small enough to be filtered and sorted here. Raises BadQuery."""
    query = asked.query
    found = [each for each in found if all(each[name] == value for name, value in query.filters)]
    for name, descending in reversed(query.sort):
        found.sort(key=lambda each: each[name], reverse=descending)  # type: ignore[arg-type,return-value]
    if query.marker is not None:
        at = next((place for place, each in enumerate(found) if each["project_id"] == query.marker), None)
        if at is None:
            raise errors.BadQuery(what="marker", value=query.marker)
        found = found[:at] if query.reverse else found[at + 1 :]
    if query.limit is None:
        return found
    return found[-query.limit :] if query.reverse and query.marker is not None else found[: query.limit]


class OneQuota(_Handler):
    """GET, PUT and DELETE quotas/{project_id}. A project that nothing is known of has the defaults."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        self.check(req, "get_one", project_id)
        with reading(self.site.engine) as conn:
            self.answer(req, resp, quotas.get(conn, project_id))

    def on_put(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        changes = _changes(forms.root(forms.body(req, ARGUMENT, self.site.settings.largest_body), "quota", ARGUMENT))
        self.check(req, "put", project_id)

        def job(conn: Connection) -> Quota:
            etags.check(req, lambda: self.shown(quotas.locked(conn, project_id)))
            return quotas.set(conn, project_id, changes)

        self.answer(req, resp, retrying(self.site.engine, job), 202)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        self.check(req, "delete", project_id)
        found: list[str] = []  # by an attempt whose commit was not confirmed, too

        def reset(conn: Connection) -> None:
            etags.check(req, lambda: self.shown(quotas.locked(conn, project_id)))
            found.extend([project_id] * quotas.reset(conn, project_id))

        retrying(self.site.engine, reset)
        if not found:
            raise errors.NotFound(resource=WORD, id=project_id)
        resp.status = 202


class Defaults(_Handler):
    """GET quotas/{project_id}/default: what holds where nothing was set."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        self.check(req, "get_defaults", project_id)
        self.answer(req, resp, Quota(project_id=project_id))


def _changes(given: object) -> dict[str, int | None]:
    """The limits in a body, None for a null: the default again. Raises BadValue, UnknownAttribute."""
    if not isinstance(given, dict):
        raise errors.BadValue(field="quota", value=given, reason="Value should be an object")
    declared = attributes(Quota)
    unknown = sorted(set(given) - declared.keys() - ALIASES.keys())
    if unknown:
        raise errors.UnknownAttribute(argument=ARGUMENT, path=("quota",), key=", ".join(unknown))
    changes: dict[str, int | None] = {}
    for key in sorted(given, key=lambda key: key not in ALIASES):  # where both are given, the newer spelling holds
        name, value = ALIASES.get(key, key), given[key]
        try:
            changes[name] = None if value is None else int(str(declared[name].scalar.read(value)))
        except ValueError as error:
            raise errors.BadValue(field=key, value=value, reason=str(error)) from None
    return changes
