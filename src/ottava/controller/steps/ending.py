# SPDX-License-Identifier: Apache-2.0
"""The steps that wait, and those that end a load balancer."""

from ottava.controller.turn import Failed, Turn
from ottava.rules.plan import AwaitHost, ForgetLoadBalancer, ReleasePort
from ottava.store import graphs


def await_host(turn: Turn, step: AwaitHost) -> None:
    """Nothing to do but to come back; a host that appears makes the load balancer due at once."""
    raise Failed(step.reason)


def release_port(turn: Turn, step: ReleasePort) -> None:
    """Give back what was made for the load balancer; a port that a user made stays."""
    turn.tools.network.release_port(step.port_id, turn.graph.load_balancer.id)
    turn.graph.load_balancer.vip_port_id = None


def forget(turn: Turn, step: ForgetLoadBalancer) -> None:
    """The load balancer ends."""
    turn.write(lambda conn: graphs.forget(conn, step.loadbalancer_id))
    turn.gone = True
