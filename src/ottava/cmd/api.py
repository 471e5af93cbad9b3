# SPDX-License-Identifier: Apache-2.0
"""`ottava api`: the v2 API, served by granian (docs/decisions/0004)."""

import argparse
import gc
import logging
from collections.abc import Callable
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from oslo_config import cfg

from ottava.api import app as api_app
from ottava.api import stack
from ottava.api.context import Unusable
from ottava.cmd import database, service, settings, supervisor
from ottava.cmd.mistakes import UserMistake
from ottava.provider.registry import BadProviders, Providers
from ottava.store import engine as engines
from ottava.store.addresses import Addresses
from ottava.store.wakeup import Wakeup

LOG = logging.getLogger(__name__)

RESPAWN_SECONDS = 0.2


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end."""
    with service.running(arguments, "api") as conf:
        _check(conf)
        with database.opened(conf, upgrade=True):
            pass
        host, port = conf.api.bind_host, conf.api.bind_port
        if conf.api.auth_strategy == "noauth":
            LOG.warning(
                "auth_strategy is noauth: whoever reaches %s is the administrator", settings.url(host, port, "http")
            )
        server = Granian(
            "ottava.api.app",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=conf.api.workers,
            blocking_threads=1,
            http1_settings=HTTP1Settings(header_read_timeout=30_000),
            websockets=False,
            log_enabled=False,
            respawn_failed_workers=True,
            respawn_interval=RESPAWN_SECONDS,
            workers_kill_timeout=5,
        )
        _spare_the_collector()
        server.serve(target_loader=_loader(conf), wrap_loader=False)
    return 0


def _loader(conf: cfg.ConfigOpts) -> Callable[..., Any]:
    """What each worker process calls for its application; nothing that must not be shared is opened before."""

    def load(*_: object) -> Any:
        supervisor.end_with_parent()
        engine = engines.configured(conf)
        network = settings.network(conf, Addresses(engine))
        app = api_app.create_app(conf, engine, network, Wakeup(conf.run_dir))
        gc.freeze()
        return app

    return load


def _spare_the_collector() -> None:
    """Let garbage collection pass over what stays for ever, and come less often: a list of 1,000 takes half the time.

    Before the workers are forked, since a collection writes to all that they could share.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


def _check(conf: cfg.ConfigOpts) -> None:
    """Raise UserMistake for what cannot or must not be served."""
    host, port = conf.api.bind_host, conf.api.bind_port
    if conf.api.auth_strategy == "noauth" and not (settings.is_loopback(host) or conf.api.noauth_anywhere):
        raise UserMistake(
            f"auth_strategy noauth makes everybody the administrator, so it binds to loopback only, not to {host}; "
            "choose auth_strategy keystone or http_basic, or say noauth_anywhere = true in [api] if you mean it"
        )
    settings.check_networks(conf)
    try:
        Providers(conf.api.enabled_provider_drivers, conf.api.default_provider_driver)
    except BadProviders as error:
        raise UserMistake(str(error)) from error
    try:
        stack.check(conf)
    except Unusable as error:
        raise UserMistake(str(error)) from error
    service.check_port(host, port)
