# SPDX-License-Identifier: Apache-2.0
"""`ottava up`: the four processes on one machine, kept running until interrupted. The proxies outlive them.

With --noop it is the API alone, unprivileged, over a provider and a network that do nothing.
"""

import argparse
import gc
import importlib
import logging
import os
import sys
import tempfile
import time
from functools import partial

import httpx
from oslo_config import cfg
from sqlalchemy import Engine

from ottava import logs
from ottava.cmd import database, demo, main, processes, settings
from ottava.cmd.mistakes import UserMistake
from ottava.cmd.supervisor import Supervisor
from ottava.model import errors
from ottava.store import engine as engines
from ottava.store import hosts

LOG = logging.getLogger(__name__)

NOOP: dict[tuple[str, str], object] = {("api", "noop"): True, ("network", "driver"): "noop"}
ROLES = ("health", "api", "agent", "controller")
PATIENCE = 60.0
"""Seconds after which a start is given up."""
FALSE_STARTS = 3
"""A process that ends so often before all are ready has something to say; trying on would bury it."""
LOOK_AGAIN = 0.02


def run(arguments: argparse.Namespace) -> int:
    """Prepare, start, say that it is ready, stay."""
    arguments.options = {("api", "bind_port"): arguments.port} if hasattr(arguments, "port") else {}
    if not arguments.noop:
        settings.need_root("to make network namespaces and links")
        return _run(arguments, ROLES)
    if arguments.demo:
        raise UserMistake("--noop serves nothing that --demo could show")
    arguments.options |= NOOP
    arguments.config_file = getattr(arguments, "config_file", [os.devnull])  # not that of a real Ottava on this machine
    with tempfile.TemporaryDirectory(prefix="ottava-") as folder:
        arguments.state_dir = getattr(arguments, "state_dir", folder)
        arguments.run_dir = getattr(arguments, "run_dir", os.path.join(arguments.state_dir, "run"))
        return _run(arguments, ("api",))


def _run(arguments: argparse.Namespace, roles: tuple[str, ...]) -> int:
    conf = settings.configuration(arguments)
    logs.setup(conf, "up")
    settings.make_private(conf.state_dir, conf.run_dir)
    with (
        processes.alone(conf.state_dir, "state directory"),
        processes.alone(conf.run_dir, "run directory"),
        processes.registered(conf.run_dir, "up"),
    ):
        _take_over(conf.run_dir)
        settings.check_networks(conf)
        with database.opened(conf, upgrade=True):
            pass
        jobs = {role: partial(main.execute, _as(arguments, role)) for role in roles}
        for role in roles:
            importlib.import_module(f"ottava.cmd.{role}")
        gc.freeze()
        status = Supervisor(jobs, partial(_herald, arguments, conf, time.time()), FALSE_STARTS, processes.let_go).run()
        LOG.info("ended" if arguments.noop else "ended; the proxies stay and serve (ottava down removes them)")
    return status


def _as(arguments: argparse.Namespace, role: str) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), "command": role})


def _take_over(run_dir: str) -> None:
    """End what a killed `ottava up` has left running; its ports and leases are needed."""
    left = [each for each in processes.running(run_dir) if each.role in ROLES]
    for each in left:
        LOG.warning("ending ottava %s (process %d), which an earlier ottava up has left", each.role, each.pid)
    processes.stop(left, run_dir)


def _herald(arguments: argparse.Namespace, conf: cfg.ConfigOpts, began: float) -> int:
    """Say when all is ready, and show the demonstration if it is asked for; 1 if that fails, in words."""
    try:
        with database.opened(conf) as engine:
            _await_ready(conf, engine, began)
            print(f"Ottava is ready: {api_url(conf)}/", flush=True)
            if arguments.demo:
                demo.show(conf, engine)
    except UserMistake as mistake:
        print(f"ottava up: {mistake}", file=sys.stderr)
        return 1
    return 0


def _await_ready(conf: cfg.ConfigOpts, engine: Engine, began: float) -> None:
    """Return when the API answers and the agent of this host has been heard of. Raises UserMistake."""
    deadline = time.monotonic() + PATIENCE
    alone = conf.api.noop  # there is no agent
    while not ((alone or _heard_of(engine, settings.host_name(conf), began)) and _answers(api_url(conf))):
        if time.monotonic() > deadline:
            raise UserMistake(f"not ready after {PATIENCE:.0f} seconds; the log above may say why")
        time.sleep(LOOK_AGAIN)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/", timeout=5.0, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def _heard_of(engine: Engine, name: str, began: float) -> bool:
    try:
        with engines.reading(engine) as conn:
            return any(host.name == name and host.last_seen >= began for host in hosts.all(conn))
    except errors.Unavailable:
        return False


def api_url(conf: cfg.ConfigOpts) -> str:
    """Where the API of this configuration is reached from this machine."""
    return settings.url(conf.api.bind_host, conf.api.bind_port, "http")
