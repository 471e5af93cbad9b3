# SPDX-License-Identifier: Apache-2.0
"""Who carries load balancers out, and what can be chosen of each."""

from collections.abc import Callable, Mapping

import falcon
import msgspec

from ottava.api import query_string, render
from ottava.api.context import context
from ottava.api.site import Site
from ottava.model import errors
from ottava.provider.base import Provider


class Providers:
    """GET providers."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self.site.authorizer.check(context(req.env), "provider:get_all", None)
        resp.data = _encoded(
            "providers", self.site.providers.listed, query_string.fields(req.query_string, self.site.settings)
        )


class Capabilities:
    """GET providers/{name}/flavor_capabilities and its like: `what` may be chosen, as `known` finds it."""

    def __init__(self, site: Site, what: str, known: Callable[[Provider], Mapping[str, str]]) -> None:
        self.site = site
        self.what = what
        self.known = known
        self.action = f"provider-{what.removesuffix('_capabilities').replace('_', '-')}:get_all"

    def on_get(self, req: falcon.Request, resp: falcon.Response, provider: str) -> None:
        self.site.authorizer.check(context(req.env), self.action, None)
        found = self.known(self.site.providers.get(provider))
        filters = query_string.pairs(req.query_string)
        if any(key not in ("name", "description", "fields") for key, _ in filters):
            raise errors.BadQuery(what="filter", value=self.what)
        wanted = {key: value for key, value in filters if key != "fields"}
        found = {
            name: about
            for name, about in found.items()
            if wanted.items() <= {"name": name, "description": about}.items()
        }
        resp.data = _encoded(self.what, found, query_string.fields(req.query_string, self.site.settings))


def _encoded(key: str, found: Mapping[str, str], fields: tuple[str, ...]) -> bytes:
    rows = [render.chosen({"name": name, "description": about}, fields) for name, about in found.items()]
    return msgspec.json.encode({key: rows})
