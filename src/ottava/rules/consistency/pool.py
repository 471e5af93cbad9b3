# SPDX-License-Identifier: Apache-2.0
"""What must hold of a pool."""

from collections.abc import Mapping

import msgspec

from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import L7Policy
from ottava.model.listener import Listener
from ottava.model.pool import Pool, SessionPersistence
from ottava.rules.consistency.surroundings import check_protocols, referred


def complete(pool: Pool) -> Pool:
    """A session persistence as it was read, a mapping of the keys given, becomes the type that it is."""
    given: object = pool.session_persistence
    if not isinstance(given, Mapping):
        return pool
    if given.get("type") is None:
        raise errors.BadValue(field="type", value=None, reason="Mandatory field missing.")
    return msgspec.structs.replace(pool, session_persistence=SessionPersistence(**given))


def merge(old: Pool, changes: Mapping[str, object]) -> Pool:
    """A new session persistence replaces the old one, except that it keeps the type if it names none; an empty one
    says nothing."""
    given = changes.get("session_persistence")
    if not isinstance(given, Mapping):
        return msgspec.structs.replace(old, **changes)
    if not given:
        return msgspec.structs.replace(old, **{**changes, "session_persistence": old.session_persistence})
    if "type" not in given:
        if old.session_persistence is None:
            raise errors.Invalid(reason="Invalid session_persistence provided.")
        given = {**given, "type": old.session_persistence.type}
    return complete(msgspec.structs.replace(old, **{**changes, "session_persistence": given}))


def check(pool: Pool) -> None:
    """Its session persistence."""
    persistence = pool.session_persistence
    if persistence is None:
        return
    if persistence.persistence_timeout is not None or persistence.persistence_granularity is not None:
        raise errors.Invalid(
            reason="session_persistence: persistence_timeout and persistence_granularity are for UDP and SCTP pools "
            f"only, and this pool speaks {pool.protocol}."
        )
    if persistence.type == "APP_COOKIE" and not persistence.cookie_name:
        raise errors.Invalid(reason="session_persistence: APP_COOKIE needs a cookie_name.")
    if persistence.type != "APP_COOKIE" and persistence.cookie_name is not None:
        raise errors.Invalid(reason=f"session_persistence: {persistence.type} takes no cookie_name.")


def check_attach(graph: LoadBalancerGraph, pool: Pool, listener_id: str) -> None:
    """Whether a new pool may become the default pool of a listener. Raises NotFound, Immutable, Invalid, Duplicate.

    The protocols must fit however the listener was named; elsewhere they are not compared when the load balancer is
    named too, which makes configurations that no proxy can serve.
    """
    listener = referred(graph.listeners, Listener, listener_id)
    check_protocols(listener, pool)
    taken = graph.pools.get(listener.default_pool_id or "")
    if taken is not None and taken.id != pool.id and taken.provisioning_status != status.PENDING_DELETE:
        raise errors.Duplicate(what="default_pool", id=listener_id)


def check_delete(graph: LoadBalancerGraph, pool: Pool) -> None:
    """No policy that is there to stay redirects to it; being a listener's default pool does not matter."""
    for policy in graph.l7policies.values():
        if policy.redirect_pool_id == pool.id and _stays(graph, policy):
            raise errors.InUse(resource=Pool.kind.word, id=pool.id, by="L7 policy", by_id=policy.id)


def _stays(graph: LoadBalancerGraph, policy: L7Policy) -> bool:
    listener = graph.listeners.get(policy.listener_id)
    leaving = (each.provisioning_status == status.PENDING_DELETE for each in (policy, listener) if each)
    return not any(leaving)
