# SPDX-License-Identifier: Apache-2.0
"""A turn: one worker at one load balancer, what it knows and what it may use; and how a turn can end early."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, Engine

from ottava.cloud.network.base import NetworkService
from ottava.controller.agents import Agents
from ottava.controller.settings import Settings
from ottava.model import errors
from ottava.model.amphora import Amphora, Host
from ottava.model.graph import LoadBalancerGraph
from ottava.rules.failure import host_views
from ottava.rules.plan import AmphoraView, HostView, Observed
from ottava.store import engine as engines
from ottava.store import work
from ottava.translate.desired import desired
from ottava.translate.ir import Port
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Facts


class TurnError(Exception):
    """The turn cannot go on; the message says why, in words."""


class Failed(TurnError):
    """Something is in the way; trying again may help."""


class Refused(TurnError):
    """The wish itself cannot be carried out. culprits: ids of the objects that are to blame."""

    def __init__(self, reason: str, culprits: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.culprits = culprits


class Lost(TurnError):
    """Another worker has the load balancer now; what this one knows is worth nothing."""


@dataclass(frozen=True)
class Tools:
    """What every turn uses.

    since  when the controller began, by the database's clock: what fails at a host not heard of since is no news
    """

    engine: Engine
    network: NetworkService
    agents: Agents
    settings: Settings
    since: float = 0.0


@dataclass
class Turn:
    """One worker at one load balancer. Steps change `graph` and `observed` as they change the world.

    held   whether the lease still holds, as far as this process knows
    said   the steps taken, in words
    gone   the load balancer was forgotten: there is nothing left to record
    """

    tools: Tools
    claim: work.Claim
    graph: LoadBalancerGraph
    hosts: Mapping[str, Host]
    now: float
    loads: Mapping[str, int]
    held: Callable[[], bool] = lambda: True
    observed: Observed = field(default_factory=Observed)
    said: list[str] = field(default_factory=list)
    gone: bool = False
    _ports: tuple[Port, ...] | None = None

    def host_views(self) -> tuple[HostView, ...]:
        """The hosts as the plan sees them."""
        settings = self.tools.settings
        return host_views(list(self.hosts.values()), self.now, settings.host_timeout, self.loads, settings.brake)

    def early(self) -> bool:
        """Whether a host that it needs may just not have been heard of yet, since the controller has only begun."""
        since = self.tools.since
        names = {each.host for each in self.graph.amphorae.values()}
        unheard = [host for host in self.hosts.values() if host.name in names and host.last_seen < since]
        return bool(unheard) and self.now - since < self.tools.settings.host_timeout

    def host(self, name: str) -> Host:
        """The host; raises Failed when nobody ever heard of it."""
        try:
            return self.hosts[name]
        except KeyError:
            raise Failed(f"host {name} has never been heard of") from None

    def wish(self, amphora: Amphora) -> Desired:
        """How the amphora should look. Raises Refused for a value that cannot be rendered, Failed."""
        if self._ports is None:
            self._ports = self._attached()
        facts = msgspec.convert(self.host(amphora.host).facts, Facts)
        try:
            return desired(self.graph, amphora.id, facts, self._ports, self.claim.epoch)
        except ValueError as error:
            raise Refused(str(error)) from error

    def _attached(self) -> tuple[Port, ...]:
        try:
            return self.tools.network.ports(self.graph)
        except errors.BadReference as error:
            raise Failed(f"{str(error.facts['kind']).lower()} {error.facts['id']} does not exist") from error
        except errors.Duplicate as error:
            raise Failed("no address is free in a subnet of the members") from error

    def saw(self, view: AmphoraView | None, amphora_id: str) -> None:
        """Remember what is known of an amphora now; None: it is gone."""
        amphorae = {key: each for key, each in self.observed.amphorae.items() if key != amphora_id}
        if view:
            amphorae[amphora_id] = view
        self.observed = msgspec.structs.replace(self.observed, amphorae=amphorae)

    def write(self, change: Callable[[Connection], None]) -> None:
        """Change the database in one transaction, but only while the lease is ours. Raises Lost."""

        def guarded(conn: Connection) -> None:
            if not work.held(conn, self.claim):
                raise Lost("another worker has it")
            change(conn)

        engines.retrying(self.tools.engine, guarded)
