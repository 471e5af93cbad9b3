# SPDX-License-Identifier: Apache-2.0
"""Desired: the whole wish for one amphora, ready for the wire."""

from collections.abc import Sequence

import msgspec

from ottava.model.graph import LoadBalancerGraph
from ottava.translate.build import build
from ottava.translate.haproxy import render_proxy
from ottava.translate.interfaces import interfaces
from ottava.translate.ir import Port
from ottava.wire import desired as wire
from ottava.wire.heartbeat import Facts


def desired(graph: LoadBalancerGraph, amphora_id: str, facts: Facts, ports: Sequence[Port], epoch: int) -> wire.Desired:
    """How amphora `amphora_id` should look on a host of which `facts` are known.

    Pure: equal arguments give equal results. Objects that are PENDING_DELETE are left out.
    Raises ValueError, naming the object, for a value that cannot be rendered safely.
    """
    amphora = build(graph, facts)
    wish = wire.Desired(
        amphora_id=amphora_id,
        loadbalancer_id=graph.load_balancer.id,
        epoch=epoch,
        generation=graph.generation,
        interfaces=interfaces(ports),
        proxy=render_proxy(amphora),
        probes=amphora.probes,
    )
    return msgspec.structs.replace(wish, digest=wire.digest(wish))
