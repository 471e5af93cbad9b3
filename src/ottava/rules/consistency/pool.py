# SPDX-License-Identifier: Apache-2.0
"""What must hold of a pool."""

from collections.abc import Mapping

import msgspec

from ottava.model import errors, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import L7Policy
from ottava.model.listener import Listener
from ottava.model.pool import DATAGRAM_PROTOCOLS, Pool, SessionPersistence
from ottava.rules.consistency import tls
from ottava.rules.consistency.surroundings import check_protocols, referred
from ottava.rules.deployment import Deployment


def complete(pool: Pool, deployment: Deployment) -> Pool:
    """A session persistence becomes the type that it is; TLS says how it is spoken."""
    typed = _typed(pool)
    return tls.complete(typed, deployment.pool_tls) if pool.tls_enabled else typed


def _typed(pool: Pool) -> Pool:
    """A session persistence is read as a mapping of the keys given."""
    given: object = pool.session_persistence
    if not isinstance(given, Mapping):
        return pool
    if given.get("type") is None:
        raise errors.BadValue(field="type", value=None, reason="Mandatory field missing.")
    return msgspec.structs.replace(pool, session_persistence=SessionPersistence(**given))


def merge(old: Pool, changes: Mapping[str, object], deployment: Deployment) -> Pool:
    """A new session persistence replaces the old one, except that it keeps the type if it names none; an empty one
    says nothing. A null asks for the default ciphers and versions of TLS, whatever is spoken."""
    defaults: dict[str, object] = {
        "tls_ciphers": deployment.pool_tls.ciphers,
        "tls_versions": deployment.pool_tls.versions,
    }
    asked = {name: value for name, value in defaults.items() if name in changes and changes[name] is None}
    changes = {**changes, **asked}
    given = changes.get("session_persistence")
    if isinstance(given, Mapping):
        changes["session_persistence"] = _persistence(old, given)
    return _typed(msgspec.structs.replace(old, **changes))


def _persistence(old: Pool, given: Mapping[str, object]) -> object:
    if not given:
        return old.session_persistence
    if "type" in given:
        return given
    if old.session_persistence is None:
        raise errors.Invalid(reason="Invalid session_persistence provided.")
    return {**given, "type": old.session_persistence.type}


def check(pool: Pool, old: Pool | None, deployment: Deployment) -> None:
    """Its session persistence and what TLS it speaks."""
    if pool.session_persistence is not None:
        _check_persistence(pool, pool.session_persistence)
    if pool.crl_container_ref and not pool.ca_tls_container_ref:
        raise errors.Invalid(reason="crl_container_ref needs a ca_tls_container_ref.")
    tls.check_ciphers(pool, old, deployment)
    tls.check_versions(pool, old, pool.tls_enabled, deployment)


def _check_persistence(pool: Pool, wish: SessionPersistence) -> None:
    if pool.protocol in DATAGRAM_PROTOCOLS:
        if wish.type != "SOURCE_IP" or wish.cookie_name is not None:
            raise errors.Invalid(
                reason=f"session_persistence: {pool.protocol} pools take SOURCE_IP without a cookie_name only."
            )
        return
    if wish.persistence_timeout is not None or wish.persistence_granularity is not None:
        raise errors.Invalid(
            reason="session_persistence: persistence_timeout and persistence_granularity are for UDP and SCTP pools "
            f"only, and this pool speaks {pool.protocol}."
        )
    if wish.type == "APP_COOKIE" and not wish.cookie_name:
        raise errors.Invalid(reason="session_persistence: APP_COOKIE needs a cookie_name.")
    if wish.type != "APP_COOKIE" and wish.cookie_name is not None:
        raise errors.Invalid(reason=f"session_persistence: {wish.type} takes no cookie_name.")


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
