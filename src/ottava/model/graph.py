# SPDX-License-Identifier: Apache-2.0
"""A load balancer with all that belongs to it."""

from collections.abc import Iterator

import msgspec

from ottava.model import status
from ottava.model.amphora import Amphora
from ottava.model.health_monitor import HealthMonitor
from ottava.model.l7 import L7Policy, L7Rule
from ottava.model.listener import Listener
from ottava.model.load_balancer import LoadBalancer
from ottava.model.member import Member
from ottava.model.pool import Pool
from ottava.model.resource import Child, Resource


class LoadBalancerGraph(msgspec.Struct, kw_only=True):
    """One load balancer and its whole tree; each dict is id to object, in order of creation.

    generation           of the wish: counts accepted writes
    observed_generation  the newest generation whose wish was seen fulfilled
    """

    load_balancer: LoadBalancer
    listeners: dict[str, Listener] = msgspec.field(default_factory=dict)
    pools: dict[str, Pool] = msgspec.field(default_factory=dict)
    members: dict[str, Member] = msgspec.field(default_factory=dict)
    healthmonitors: dict[str, HealthMonitor] = msgspec.field(default_factory=dict)
    l7policies: dict[str, L7Policy] = msgspec.field(default_factory=dict)
    rules: dict[str, L7Rule] = msgspec.field(default_factory=dict)
    amphorae: dict[str, Amphora] = msgspec.field(default_factory=dict)
    generation: int = 0
    observed_generation: int = 0

    def members_of(self, pool_id: str) -> list[Member]:
        """The members of one pool."""
        return [member for member in self.members.values() if member.pool_id == pool_id]

    def healthmonitor_of(self, pool_id: str) -> HealthMonitor | None:
        """The health monitor of one pool, if it has one. One that is being deleted may still be there beside it."""
        found = [each for each in self.healthmonitors.values() if each.pool_id == pool_id]
        return min(found, key=lambda each: each.provisioning_status == status.PENDING_DELETE, default=None)

    def listeners_using(self, pool_id: str) -> list[Listener]:
        """The listeners that send requests to a pool: by default, or by an enabled L7 policy that has a rule."""
        sending = {each.id for each in self.listeners.values() if each.default_pool_id == pool_id}
        ruled = {rule.l7policy_id for rule in self.rules.values()}
        for policy in self.l7policies.values():
            if policy.redirect_pool_id == pool_id and policy.admin_state_up and policy.id in ruled:
                sending.add(policy.listener_id)
        return [each for each in self.listeners.values() if each.id in sending]

    def policies_of(self, listener_id: str) -> list[L7Policy]:
        """The L7 policies of one listener, by position."""
        found = [policy for policy in self.l7policies.values() if policy.listener_id == listener_id]
        return sorted(found, key=lambda policy: (policy.position, policy.created_at, policy.id))

    def rules_of(self, policy_id: str) -> list[L7Rule]:
        """The rules of one L7 policy."""
        return [rule for rule in self.rules.values() if rule.l7policy_id == policy_id]

    def children(self) -> Iterator[Child]:
        """Every object below the load balancer, parents before children."""
        for cls in RESOURCES.values():
            if cls is not LoadBalancer:
                yield from getattr(self, cls.kind.plural).values()

    def objects(self) -> Iterator[Resource]:
        """The load balancer and every object below it."""
        yield self.load_balancer
        yield from self.children()


RESOURCES: dict[str, type[Resource]] = {
    cls.kind.name: cls for cls in (LoadBalancer, Listener, Pool, Member, HealthMonitor, L7Policy, L7Rule)
}
"""Every resource of the tree by the name of its kind, parents before children. Each kind's plural is
the name of its dict in LoadBalancerGraph."""
