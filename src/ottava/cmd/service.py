# SPDX-License-Identifier: Apache-2.0
"""What the mains of the four processes have in common."""

import argparse
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from oslo_config import cfg

from ottava import logs, pki
from ottava.cmd import processes, settings
from ottava.cmd.mistakes import UserMistake

LOG = logging.getLogger(__name__)

LOOK_AT_CERTIFICATES = 3600.0
"""Seconds between looks at a process's certificate; it is made anew days before it ends."""


@contextlib.contextmanager
def running(arguments: argparse.Namespace, role: str) -> Iterator[cfg.ConfigOpts]:
    """Read the configuration, log under the name of `role`, be listed among the processes; gives the configuration."""
    conf = settings.configuration(arguments)
    logs.setup(conf, role)
    settings.make_private(conf.state_dir, conf.run_dir)
    with processes.registered(conf.run_dir, role):
        LOG.info("starting")
        yield conf


def check_port(host: str, port: int) -> None:
    """Raise UserMistake unless this process can listen there."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise UserMistake(f"cannot listen on {host} port {port}: {error.strerror}") from error


def certificate(conf: cfg.ConfigOpts, name: str, uri: str, hosts: Sequence[str] = ()) -> pki.Identity:
    """The files of this process's certificate, kept fresh as long as it runs. Raises UserMistake."""
    folder = pki.directory(conf.state_dir)
    try:
        files = pki.ensure(folder, name, uri, hosts)
    except OSError as error:
        raise UserMistake(f"cannot make the certificate {name} in {folder}: {error}") from error
    threading.Thread(target=_keep_fresh, args=(folder, name, uri, hosts), name="certificates", daemon=True).start()
    return files


def _keep_fresh(folder: Path, name: str, uri: str, hosts: Sequence[str]) -> None:
    waiting = threading.Event()
    while not waiting.wait(LOOK_AT_CERTIFICATES):
        try:
            pki.ensure(folder, name, uri, hosts)
        except OSError:
            LOG.exception("The certificate %s could not be looked after", name)


@contextlib.contextmanager
def ending(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`."""

    def end(number: int, frame: object) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
