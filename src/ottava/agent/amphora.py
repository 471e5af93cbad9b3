# SPDX-License-Identifier: Apache-2.0
"""One amphora on this host, as the agent knows it."""

import asyncio

from ottava.agent.counters import Totals
from ottava.agent.files import NO_FENCE, Fence, Files
from ottava.agent.haproxy import HAProxy
from ottava.agent.runtime import Address, Runtime
from ottava.agent.settings import Settings
from ottava.wire.desired import Desired


class Amphora:
    """Its files, its process, and what was last said of it. Whoever changes it holds `lock`.

    adopted    what an earlier run of the agent left has been taken over
    desired    what is in force, None if nothing is
    offered    the highest (epoch, generation) that has come in: an order that waits behind a newer one is not applied
    fault      what is wrong with it now, in words
    probed     what the agent's own health checks found, None while they have found nothing
    leaving    servers may still be in maintenance until their last connection ends
    replaced   conversations with processes that finish their connections, by process id
    """

    def __init__(self, settings: Settings, amphora_id: str) -> None:
        self.id = amphora_id
        self.tag = settings.tag
        self.files = Files(settings.state_dir, settings.run_dir, amphora_id)
        self.namespace = f"{settings.tag}-{amphora_id}"
        self.haproxy = HAProxy(self.files, self.namespace, settings.haproxy)
        self.totals = Totals(self.files.counters)
        self.lock = asyncio.Lock()
        self.fence: Fence = self.files.read_fence()
        self.offered: Fence = NO_FENCE
        self.adopted = False
        self.desired: Desired | None = None
        self.fault = ""
        self.probed: dict[Address, bool | None] = {}
        self.leaving = False
        self.replaced: dict[int, Runtime] = {}

    @property
    def wants_process(self) -> bool:
        """Whether an HAProxy should run."""
        return self.desired is not None and self.desired.proxy is not None

    @property
    def running(self) -> bool:
        """Whether all processes that should run do."""
        return self.desired is not None and (self.haproxy.pid is not None) == self.wants_process

    def counting(self) -> set[int]:
        """The processes whose counters still move."""
        serving = () if self.haproxy.pid is None else (self.haproxy.pid,)
        return {*serving, *self.replaced}

    def servers(self) -> frozenset[Address]:
        """The servers in force, as (backend, server)."""
        backends = self.desired.proxy.backends if self.desired and self.desired.proxy else ()
        return frozenset((backend.name, server.name) for backend in backends for server in backend.servers)
