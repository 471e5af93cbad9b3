# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many of each resource a project may have. -1 means any number."""

from typing import Annotated

import msgspec

from ottava.model import scalars
from ottava.model.attribute import Attribute, Null

UNLIMITED = -1


def _limit(word: str, since: str = "v2.0") -> Attribute:
    return Attribute(
        scalars.integer(UNLIMITED, 2000000000), f"How many {word}.", update=True, null_update=Null.RESET, since=since
    )


class Quota(msgspec.Struct, kw_only=True):
    """The limits of one project, None where the operator's default holds. Fields are names of kinds."""

    project_id: str
    loadbalancer: Annotated[int | None, _limit("load balancers")] = None
    listener: Annotated[int | None, _limit("listeners")] = None
    pool: Annotated[int | None, _limit("pools")] = None
    member: Annotated[int | None, _limit("members")] = None
    healthmonitor: Annotated[int | None, _limit("health monitors")] = None
    l7policy: Annotated[int | None, _limit("L7 policies", "v2.19")] = None
    l7rule: Annotated[int | None, _limit("L7 rules", "v2.19")] = None


ALIASES = {"load_balancer": "loadbalancer", "health_monitor": "healthmonitor"}
"""Deprecated spellings, taken and always rendered."""
