# SPDX-License-Identifier: Apache-2.0
"""Heartbeat: what a host says of itself and of every amphora on it."""

import msgspec

from ottava.wire import VERSION


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the translation must know of a host.

    haproxy   version of HAProxy, () if there is none
    nofile    most file descriptors that a process may have
    cpus      usable processors
    """

    hostname: str = ""
    haproxy: tuple[int, ...] = ()
    nofile: int = 1024
    cpus: int = 1


class Counters(msgspec.Struct, frozen=True):
    """Totals since the amphora was made, over all of its processes; `active` is a gauge. In connections and bytes."""

    active_connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    request_errors: int = 0
    total_connections: int = 0


class ListenerReport(msgspec.Struct, frozen=True):
    """status is OPEN or FULL."""

    status: str
    counters: Counters = Counters()


class PoolReport(msgspec.Struct, frozen=True):
    """status is UP or DOWN; each member's is UP, DOWN, DRAIN, MAINT or "no check"."""

    status: str
    members: dict[str, str] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One amphora, as it is now. Fields as in Applied; `pools` by "pool id:listener id"."""

    amphora_id: str
    loadbalancer_id: str
    epoch: int
    generation: int
    digest: str
    running: bool
    fault: str = ""
    listeners: dict[str, ListenerReport] = {}
    pools: dict[str, PoolReport] = {}


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A host and its amphorae.

    sequence  grows by one with each heartbeat of one run of the agent
    started   Unix time at which this run of the agent began: (started, sequence) only ever grows
    url       where the agent answers
    partial   only the amphorae that changed are in `reports`; others are as they were
    """

    version: int = VERSION
    host: str
    url: str
    started: float
    sequence: int
    partial: bool = False
    facts: Facts = Facts()
    reports: tuple[Report, ...] = ()
