# SPDX-License-Identifier: Apache-2.0
"""Who carries load balancers out. There is one provider; the others are names that existing clients use for it."""

import falcon
import msgspec

from ottava.api import query_string, render
from ottava.api.context import context
from ottava.api.site import Site
from ottava.model import errors

PROVIDERS = {
    "ottava": "HAProxy in network namespaces.",
    "octavia": "Another name of the provider ottava, for existing clients.",
    "amphora": "Another name of the provider ottava, for existing clients.",
}


def check(name: str) -> None:
    """Raises ProviderNotEnabled."""
    if name not in PROVIDERS:
        raise errors.ProviderNotEnabled(provider=name)


class Providers:
    """GET providers."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self.site.authorizer.check(context(req.env), "provider:get_all", None)
        fields = query_string.fields(req.query_string, self.site.settings)
        found = [render.chosen({"name": name, "description": about}, fields) for name, about in PROVIDERS.items()]
        resp.data = msgspec.json.encode({"providers": found})
