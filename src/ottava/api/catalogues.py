# SPDX-License-Identifier: Apache-2.0
"""What administrators put on offer: flavors, availability zones, and the profiles that both point to."""

import uuid
from collections.abc import Callable, Mapping
from typing import TypeVar

import falcon
import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ottava.api import etags, forms, query_string, render
from ottava.api.context import context
from ottava.api.resource import answer_page
from ottava.api.site import Site
from ottava.model import errors
from ottava.model.attribute import attributes
from ottava.model.catalogue import PROFILES, AvailabilityZoneProfile, Entry, FlavorProfile, Profile
from ottava.store import catalogues, query
from ottava.store.engine import reading, retrying

E = TypeVar("E", bound=Entry)


def find(conn: Connection, cls: type[E], key: str, lock: bool = False) -> E:
    """The entry that a URL names. Raises NotFound."""
    found = None if "\x00" in key else catalogues.get(conn, cls, key, lock)
    if found is None:
        raise errors.NotFound(resource=cls.kind.word, id=key)
    return found


def data(text: str, name: str) -> dict[str, object]:
    """The object that the data of a profile holds, as attribute `name`. Raises BadOption."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise errors.BadOption(value=text, option=name)
    return found


def check(site: Site, profile: Profile) -> None:
    """Refuse a profile that its provider cannot carry out. Raises BadOption, ProviderNotEnabled, Unsupported."""
    match profile:
        case FlavorProfile():
            wanted = data(profile.flavor_data, "flavor_data")
            site.providers.get(profile.provider_name).check_flavor(wanted)
        case AvailabilityZoneProfile():
            wanted = data(profile.availability_zone_data, "availability_zone_data")
            site.providers.get(profile.provider_name).check_availability_zone(wanted)


class Handler:
    """What handlers of one kind of entry share."""

    def __init__(self, site: Site, cls: type[Entry]) -> None:
        self.site = site
        self.cls = cls
        self.kind = cls.kind

    def check(self, req: falcon.Request, verb: str) -> None:
        """Raises NotAllowed."""
        self.site.authorizer.check(context(req.env), f"{self.kind.policy}:{verb}", None)

    def given(self, req: falcon.Request, form: forms.Form) -> Mapping[str, object]:
        """The object in the body, its keys known. Raises what forms raise."""
        found = forms.entity(forms.body(req, form.argument, self.site.settings.largest_body), form)
        forms.check_known(form, found, (self.kind.name,))
        return found

    def carry_out(self, job: Callable[[Connection], Entry], name: object) -> Entry:
        """What `job` returns, run in a transaction. Raises Duplicate where the name that it writes is taken."""
        try:
            return retrying(self.site.engine, job)
        except IntegrityError:
            raise errors.Duplicate(what="name", field=self.kind.word.lower(), name=name) from None

    def answer(self, resp: falcon.Response, entry: Entry, status: int = 200, fields: tuple[str, ...] = ()) -> None:
        """Answer one entry under its key."""
        resp.status = status
        shown = render.own(entry)
        etags.put(resp, shown)
        resp.data = msgspec.json.encode({self.kind.name: render.chosen(shown, fields)})


class Catalogue(Handler):
    """List and create."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = query_string.read(req.query_string, attributes(self.cls), self.site.settings)
        self.check(req, "get_all")
        with reading(self.site.engine) as conn:
            rows = query.page(conn, self.cls, asked.query, {})
        answer_page(self.site, req, resp, kind=self.kind, asked=asked, rows=rows)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = forms.create_form(self.cls)
        values = forms.create(form, self.given(req, form))
        self.check(req, "post")
        entry = self.cls(**({"id": str(uuid.uuid4())} if self.kind.key == "id" else {}), **values)
        if isinstance(entry, Profile):
            check(self.site, entry)

        def job(conn: Connection) -> Entry:
            for name in PROFILES.keys() & values.keys():
                if catalogues.get(conn, PROFILES[name], values[name], lock=True) is None:
                    raise errors.BadReference(kind=PROFILES[name].kind.word, id=values[name])
            catalogues.insert_one(conn, entry)
            return entry

        self.answer(resp, self.carry_out(job, values["name"]), 201)


class Offer(Handler):
    """Show, update and delete."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        key = ids[self.kind.parameter]
        self.check(req, "get_one")
        fields = query_string.fields(req.query_string, self.site.settings)
        with reading(self.site.engine) as conn:
            self.answer(resp, find(conn, self.cls, key), fields=fields)

    def on_put(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        key = ids[self.kind.parameter]
        form = forms.update_form(self.cls)
        changes = forms.update(form, self.given(req, form))
        self.check(req, "put")

        def job(conn: Connection) -> Entry:
            old = find(conn, self.cls, key, lock=True)
            etags.check(req, lambda: render.own(old))
            new = msgspec.structs.replace(old, **changes)
            if isinstance(new, Profile) and new != msgspec.structs.replace(old, name=new.name):
                check(self.site, new)
                self.check_unused(conn, old)
            catalogues.change(conn, old, changes)
            return new

        self.answer(resp, self.carry_out(job, changes.get("name")))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        key = ids[self.kind.parameter]
        self.check(req, "delete")

        def job(conn: Connection) -> None:
            entry = find(conn, self.cls, key, lock=True)
            etags.check(req, lambda: render.own(entry))
            self.check_unused(conn, entry)
            catalogues.remove(conn, entry)

        retrying(self.site.engine, job)
        resp.status = 204

    def check_unused(self, conn: Connection, entry: Entry) -> None:
        """Raises InUse."""
        if catalogues.used(conn, entry):
            raise errors.InUse(resource=self.kind.word, id=entry.key)
