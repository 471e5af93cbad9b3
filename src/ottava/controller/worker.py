# SPDX-License-Identifier: Apache-2.0
"""The controller's threads: some take turns at load balancers, one renews leases, one listens for hints and sweeps."""

import dataclasses
import logging
import random
import socket
import threading
import time
from pathlib import Path

from oslo_config import cfg

from ottava import pki
from ottava.cloud.network.local import LocalNetwork
from ottava.controller import settings as settings_of
from ottava.controller import slot
from ottava.controller.agent_client import AgentClient
from ottava.controller.reconcile import reconcile
from ottava.controller.sweep import Sweep
from ottava.controller.turn import Tools
from ottava.crash import crash_point
from ottava.model import errors
from ottava.store import engine as engines
from ottava.store import work
from ottava.store.addresses import Addresses
from ottava.store.wakeup import Wakeup

LOG = logging.getLogger(__name__)

RENEW = 3600.0


def run(conf: cfg.ConfigOpts, stop: threading.Event) -> None:
    """Be a controller until `stop` is set; turns that have begun are ended first. Raises errors.Unavailable, OSError."""
    settings = settings_of.settings(conf)
    engine = engines.hurried(engines.configured(conf))
    engines.upgrade(engine)
    pki_dir = pki.directory(settings.state_dir)
    agents = AgentClient(pki.ensure(pki_dir, "controller", pki.CONTROLLER))
    network = LocalNetwork(conf.local_network.network, Addresses(engine), conf.agent.tag)
    mine = slot.take(settings.state_dir, conf.agent.host_name or socket.gethostname())
    try:
        controller = Controller(Tools(engine, network, agents, settings), mine.name)
        controller.start()
        while not stop.wait(RENEW):
            _renew(pki_dir)
        controller.stop()
    finally:
        agents.close()
        engine.dispose()
        mine.close()


def _renew(pki_dir: Path) -> None:
    """Make the certificate anew in time; the client reads it when it changes on disk."""
    try:
        pki.ensure(pki_dir, "controller", pki.CONTROLLER)
    except OSError as error:
        LOG.warning("cannot renew the certificate: %s", error)


class Controller:
    """The threads of one controller, holding leases as `owner`."""

    def __init__(self, tools: Tools, owner: str) -> None:
        self.tools = tools
        self.owner = owner
        self._stop = threading.Event()
        self._leases = Leases(tools)
        self._bell = Bell(tools.settings.workers)
        self._wakeup = Wakeup(tools.settings.run_dir)
        self._threads: list[threading.Thread] = []
        self._looks = True  # what keeps everybody from looking for work is said once

    def start(self) -> None:
        """Release what an earlier run under the same name left, and begin. Raises errors.Unavailable."""
        work.release_all(self.tools.engine, self.owner)
        with engines.reading(self.tools.engine) as conn:
            self.tools = dataclasses.replace(self.tools, since=engines.now(conn))
        jobs = [("renew", self._renew), ("listen", self._listen), ("sweep", self._sweep)]
        jobs += [(f"work-{number}", self._work) for number in range(self.tools.settings.workers)]
        self._threads = [threading.Thread(target=job, name=name, daemon=True) for name, job in jobs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the turns that have begun, then all threads."""
        self._stop.set()
        self._wakeup.send()
        self._bell.ring(self.tools.settings.workers)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                claim = work.claim(self.tools.engine, self.owner, self.tools.settings.lease)
            except errors.Unavailable as error:
                LOG.log(logging.WARNING if self._looks else logging.DEBUG, "cannot look for work: %s", error)
                self._looks = False
                self._stop.wait(self.tools.settings.sweep)
                continue
            self._looks = True
            if claim is None:
                self._bell.wait()
                continue
            self._bell.ring()  # hints melt together: where one load balancer was due, another may be
            crash_point("controller:claimed")
            with self._leases.of(claim) as lease:
                reconcile(self.tools, claim, lease.held)

    def _listen(self) -> None:
        """Ring at each hint, and without one every so often, since hints may be lost."""
        with self._wakeup.listen() as ear:
            while not self._stop.is_set():
                ear.wait(self.tools.settings.sweep)
                self._bell.ring()

    def _renew(self) -> None:
        period = self.tools.settings.lease / 3
        while not self._stop.wait(period):
            self._leases.renew()

    def _sweep(self) -> None:
        """The first one at once: it opens the connections that the first turns will use."""
        sweep, pause = Sweep(self.tools), 0.0
        while not self._stop.wait(pause):
            pause = self.tools.settings.resync * random.uniform(0.5, 1.0)  # noqa: S311
            try:
                sweep.once()
            except errors.Refused as error:
                LOG.warning("cannot sweep: %s", error)
            except Exception:
                LOG.exception("the sweep broke off")


class Bell:
    """Wakes waiting workers, at most `most` of them for rings that nobody has heard yet."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rings = 0
        self._heard = threading.Condition()

    def ring(self, times: int = 1) -> None:
        """Wake so many workers, now or when they next wait."""
        with self._heard:
            self._rings = min(self._most, self._rings + times)
            self._heard.notify(times)

    def wait(self) -> None:
        """Until somebody rings."""
        with self._heard:
            while not self._rings:
                self._heard.wait()
            self._rings -= 1


class Lease:
    """One claim while its turn lasts."""

    def __init__(self, leases: "Leases", claim: work.Claim, seconds: float) -> None:
        self.claim = claim
        self._leases = leases
        self._until = time.monotonic() + seconds

    def held(self) -> bool:
        """Whether the lease holds still, by this process's clock."""
        return time.monotonic() < self._until

    def extend(self, until: float) -> None:
        """It holds until then, on the monotonic clock."""
        self._until = until

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self._leases.end(self)


class Leases:
    """All leases of this process, renewed by one thread."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._all: set[Lease] = set()

    def of(self, claim: work.Claim) -> Lease:
        """The lease of a claim just made; a context that ends with the turn."""
        lease = Lease(self, claim, self._tools.settings.lease)
        with self._lock:
            self._all.add(lease)
        return lease

    def end(self, lease: Lease) -> None:
        """Renew it no more."""
        with self._lock:
            self._all.discard(lease)

    def renew(self) -> None:
        """Renew all; one that cannot be renewed ends when it would have."""
        with self._lock:
            leases = list(self._all)
        seconds = self._tools.settings.lease
        for lease in leases:
            until = time.monotonic() + seconds
            try:
                renewed = work.renew(self._tools.engine, lease.claim, seconds)
            except errors.Unavailable as error:
                LOG.warning("load balancer %s: cannot renew the lease: %s", lease.claim.loadbalancer_id, error)
                continue
            lease.extend(until if renewed else 0.0)
