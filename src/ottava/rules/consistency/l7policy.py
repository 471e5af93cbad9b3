# SPDX-License-Identifier: Apache-2.0
"""What must hold of an L7 policy: its action decides which of its arguments mean something."""

from collections.abc import Mapping

import msgspec

from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import L7Policy
from ottava.model.listener import Listener
from ottava.model.pool import Pool
from ottava.rules.consistency.surroundings import check_children, check_protocols, referred

ARGUMENTS = {
    "redirect_pool_id": "REDIRECT_TO_POOL",
    "redirect_url": "REDIRECT_TO_URL",
    "redirect_prefix": "REDIRECT_PREFIX",
}
"""The argument that each action needs; sending one without an action asks for that action."""

CODED = ("REDIRECT_TO_URL", "REDIRECT_PREFIX")
"""Actions that answer with a redirect_http_code."""
DEFAULT_CODE = 302

BOTH = "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"


def complete(policy: L7Policy) -> L7Policy:
    """Arguments that the action has no use for are dropped; a redirect without a code gets one.

    A prefix beside a pool stays, for `check` to refuse.
    """
    dropped: dict[str, object] = {
        name: None
        for name, action in ARGUMENTS.items()
        if action != policy.action and (name, policy.action) != ("redirect_prefix", "REDIRECT_TO_POOL")
    }
    code = (policy.redirect_http_code or DEFAULT_CODE) if policy.action in CODED else None
    return msgspec.structs.replace(policy, **dropped, redirect_http_code=code)


def merge(old: L7Policy, changes: Mapping[str, object]) -> L7Policy:
    """An argument sent without an action switches to its action; arguments of the action before are dropped."""
    sent = [name for name in ARGUMENTS if changes.get(name) is not None]
    action = changes.get("action")
    if action is None:
        if len(sent) > 1:
            raise errors.BadPolicy(reason=BOTH if "redirect_pool_id" in sent else "Cannot specify several redirects")
        action = ARGUMENTS[sent[0]] if sent else old.action
    before: dict[str, object] = {} if action == old.action else dict.fromkeys(ARGUMENTS)
    return complete(msgspec.structs.replace(old, **{**before, **changes, "action": action}))


def check(graph: LoadBalancerGraph, policy: L7Policy) -> None:
    """Its listener takes policies, its action has its argument, and its pool can stand behind its listener."""
    listener = referred(graph.listeners, Listener, policy.listener_id)
    check_children(listener)
    needed = next((name for name, action in ARGUMENTS.items() if action == policy.action), None)
    if needed and getattr(policy, needed) is None:
        raise errors.BadPolicy(reason=f"{needed} must not be None")
    if policy.redirect_pool_id is not None:
        if policy.redirect_url is not None or policy.redirect_prefix is not None:
            raise errors.BadPolicy(reason=BOTH)
        check_protocols(listener, referred(graph.pools, Pool, policy.redirect_pool_id))
