# SPDX-License-Identifier: Apache-2.0
"""What is done for each step of a plan: one small function each, harmless when done twice."""

from collections.abc import Callable
from typing import Any

from ottava.controller.steps.amphora import apply, place, remove
from ottava.controller.steps.ending import await_host, forget, release_port
from ottava.controller.turn import Turn
from ottava.rules import plan

STEPS: dict[type[plan.Step], Callable[[Turn, Any], None]] = {
    plan.PlaceAmphora: place,
    plan.ApplyAmphora: apply,
    plan.RemoveAmphora: remove,
    plan.AwaitHost: await_host,
    plan.ReleasePort: release_port,
    plan.ForgetLoadBalancer: forget,
}
"""Every step by its type. Each raises turn.TurnError or agents.AgentError when it cannot be done."""
