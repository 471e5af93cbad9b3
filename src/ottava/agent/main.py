# SPDX-License-Identifier: Apache-2.0
"""The agent: keeps the amphorae of one host as the controller wishes. The proxies go on when it stops."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from typing import Any

from ottava.agent import host
from ottava.agent.amphorae import Amphorae
from ottava.agent.certificates import Certificates
from ottava.agent.departures import Departures
from ottava.agent.files import check_socket_length
from ottava.agent.heartbeat import Heartbeat, HostFacts
from ottava.agent.notices import Notices
from ottava.agent.probes import Probes
from ottava.agent.server import Server, application
from ottava.agent.settings import Settings
from ottava.agent.watch import Watch

LOG = logging.getLogger(__name__)
CERTIFICATES_EVERY = 10.0


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises OSError if it cannot listen or read its certificate, ValueError for options."""
    os.umask(0o077)
    check_socket_length(settings.run_dir)
    asyncio.run(_Agent(settings).run())


class _Agent:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> None:
        """Serve, take over what is there, and look after it."""
        settings = self._settings
        certificates = Certificates(settings.certificate, settings.key, settings.ca)
        amphorae = Amphorae(settings)
        facts = HostFacts(settings.haproxy)
        heartbeat = Heartbeat(settings, amphorae, certificates, facts)
        notices = Notices(heartbeat.follow)
        departures = Departures(heartbeat.follow)
        probes = Probes(heartbeat.follow)
        watch = Watch(amphorae, settings.tag)
        for follower in (notices, departures, probes, watch, heartbeat):
            amphorae.followed_by(follower)
        listening = _listen(settings.bind_host, settings.bind_port)
        server = Server(application(amphorae, facts), certificates.server)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
        work = [
            asyncio.create_task(each)
            for each in (_logged(amphorae.adopt()), watch.run(), heartbeat.run(), _refresh(certificates), _obstacles())
        ]
        try:
            await server.serve([listening])
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await departures.stop()
            await probes.stop()
            notices.stop()
            watch.stop()
            await amphorae.store_counters()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket that says it is TCP, or else asyncio lets answers wait for others (no TCP_NODELAY)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        LOG.exception("what runs on this host could not be taken over")
        os.kill(os.getpid(), signal.SIGTERM)  # whoever started the agent starts it again


async def _refresh(certificates: Certificates) -> None:
    while True:
        await asyncio.sleep(CERTIFICATES_EVERY)
        with contextlib.suppress(OSError):  # being replaced: what was read before stays in use
            certificates.refresh()


async def _obstacles() -> None:
    for sentence in await asyncio.to_thread(host.obstacles):
        LOG.warning("%s", sentence)
