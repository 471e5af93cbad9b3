# SPDX-License-Identifier: Apache-2.0
"""Hosts and amphorae: where load balancers are served."""

import msgspec


class Host(msgspec.Struct, kw_only=True):
    """A machine that runs the agent.

    name       unique, chosen by the operator (the machine's name by default)
    url        where its agent listens, https://address:port
    last_seen  database time in seconds of its last heartbeat
    facts      wire.Facts as plain data
    """

    name: str
    url: str
    last_seen: float
    facts: dict[str, object] = msgspec.field(default_factory=dict)


class Amphora(msgspec.Struct, kw_only=True):
    """One network namespace on a host, with the proxies of one load balancer in it.

    role    STANDALONE, MASTER or BACKUP
    status  ALLOCATED (wanted), ERROR (its host is lost) or PENDING_DELETE (to be removed)
    """

    id: str
    loadbalancer_id: str
    host: str
    role: str = "STANDALONE"
    status: str = "ALLOCATED"
    created_at: str = ""
