# SPDX-License-Identifier: Apache-2.0
"""GET /healthcheck: whether this API can answer, for the load balancer in front of it."""

import time

import falcon
from sqlalchemy import text

from ottava.api.site import Site
from ottava.model import errors
from ottava.store.engine import reading

HOLDS = 5.0
"""Seconds for which a result is good: probes must not load the database."""


class Healthcheck:
    """200 and OK while the database answers, 503 while it does not; 404 where the operator has not asked for it."""

    def __init__(self, site: Site) -> None:
        self._engine = site.engine
        self._enabled = site.settings.healthcheck
        self._looked = -HOLDS
        self._well = False

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        if not self._enabled:
            raise falcon.HTTPNotFound()
        if time.monotonic() - self._looked >= HOLDS:
            self._well, self._looked = self._look(), time.monotonic()
        resp.status = 200 if self._well else 503
        if "application/json" in req.accept:
            resp.media = {"detailed": False, "reasons": ["OK" if self._well else "The database does not answer."]}
        else:
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = "OK" if self._well else "The database does not answer."

    on_head = on_get

    def _look(self) -> bool:
        try:
            with reading(self._engine) as conn:
                conn.execute(text("SELECT 1"))
        except errors.Unavailable:
            return False
        return True
