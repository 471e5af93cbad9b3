# SPDX-License-Identifier: Apache-2.0
"""GET /healthcheck: whether this API can answer, for the load balancer in front of it; oslo.middleware's answers."""

import time
from typing import Any

import falcon
import webob
from oslo_config import cfg
from oslo_middleware import healthcheck
from oslo_middleware.healthcheck import opts, pluginbase
from sqlalchemy import Engine, text

from ottava.api.site import Site
from ottava.model import errors
from ottava.store.engine import reading

ENGINE = "ottava.engine"
HOLDS = 5.0
"""Seconds for which a result is good: probes must not load the database."""


def checks(conf: cfg.ConfigOpts, engine: Engine) -> healthcheck.Healthcheck:
    """What is looked at is the option backends of the group healthcheck: the database, unless it says otherwise."""
    conf.register_opts(opts.HEALTHCHECK_OPTS, group="healthcheck")
    conf.set_default("backends", ["ottava_db_check"], group="healthcheck")
    made = healthcheck.Healthcheck(None, conf)
    made.conf[ENGINE] = engine  # the checks have the same dictionary
    return made


class Healthcheck:
    """200 and OK while all is well, else 503; 404 where the operator has not asked for it."""

    def __init__(self, site: Site) -> None:
        self._checks = site.health

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer = self._checks and self._checks.process_request(webob.Request(req.env))
        if answer is None:
            raise falcon.HTTPNotFound()
        resp.status, resp.content_type, resp.data = answer.status, answer.content_type, answer.body

    on_head = on_get


class Database(pluginbase.HealthcheckBaseExtension):
    """Whether the database answers: the backend ottava_db_check, also by the name that Octavia gives it."""

    def __init__(self, oslo_conf: cfg.ConfigOpts, conf: dict[str, Any]) -> None:
        super().__init__(oslo_conf, conf)
        self._conf = conf
        self._looked = -HOLDS
        self._well = False

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Look, or say what was seen moments ago."""
        if time.monotonic() - self._looked >= HOLDS:
            self._well, self._looked = self._look(), time.monotonic()
        return pluginbase.HealthcheckResult(self._well, "OK" if self._well else "The database does not answer.")

    def _look(self) -> bool:
        try:
            with reading(self._conf[ENGINE]) as conn:
                conn.execute(text("SELECT 1"))
        except errors.Unavailable:
            return False
        return True
