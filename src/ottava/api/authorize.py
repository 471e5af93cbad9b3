# SPDX-License-Identifier: Apache-2.0
"""May they? The rules of policies.py and of the operator's file, asked by oslo.policy."""

import time

import msgspec
from oslo_config import cfg
from oslo_policy import policy

from ottava import policies
from ottava.api.context import Context
from ottava.model import errors

REMEMBER = 1.0
"""Seconds for which an answer holds, and so the time until a changed policy file does; oslo.policy takes some 300
microseconds for each answer, which is more than all the rest of a request that shows one object."""
MOST = 10000


def enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """Our rules, below those of the operator's file."""
    found = policy.Enforcer(conf)
    found.suppress_default_change_warnings = True  # nobody's defaults have changed: both are there from the beginning
    found.register_defaults(policies.list_rules())
    found.load_rules()
    return found


class Authorizer:
    """Asks oslo.policy, and remembers its answers for a moment."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._enforcer = enforcer(conf)
        self._answers: dict[tuple[Context, str, str | None], bool] = {}
        self._since = time.monotonic()

    def allowed(self, who: Context, action: str, project_id: str | None) -> bool:
        """Whether `who` may do `action` ("listener:get_one") in a project; None where there is no project."""
        now = time.monotonic()
        if now - self._since > REMEMBER or len(self._answers) > MOST:
            self._answers, self._since = {}, now
        asker = msgspec.structs.replace(who, request_id="")  # the same as in their other requests
        key = asker, action, project_id
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = self._ask(asker, action, project_id)
        return found

    def _ask(self, who: Context, action: str, project_id: str | None) -> bool:
        project = who.project_id if project_id is None else project_id
        target = {"project_id": project, "tenant_id": project, "user_id": who.user_id}
        credentials = msgspec.structs.asdict(who) | {"roles": list(who.roles), "tenant_id": who.project_id}
        credentials["is_admin"] = who.is_admin or self._enforcer.enforce("context_is_admin", target, credentials)
        try:
            return bool(self._enforcer.authorize(policies.PREFIX + action, target, credentials, do_raise=False))
        except policy.InvalidScope:
            return False

    def check(self, who: Context, action: str, project_id: str | None) -> None:
        """Raises errors.NotAllowed."""
        if not self.allowed(who, action, project_id):
            raise errors.NotAllowed()

    def list_scope(self, who: Context, resource: str, asked: str | None) -> str | None:
        """The project that a list is restricted to, None if to none; `asked`: the project_id in the query string.

        Raises errors.NotAllowed.
        """
        if self.allowed(who, f"{resource}:get_all-global", None):
            return asked
        project = who.project_id if asked is None else asked
        self.check(who, f"{resource}:get_all", project)
        return project
