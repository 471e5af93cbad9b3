# SPDX-License-Identifier: Apache-2.0
"""Ottava itself: HAProxy in network namespaces."""

from collections.abc import Mapping

from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.resource import Resource
from ottava.translate import support


class Native:
    """See base.Provider. `name` is one of those that clients use for it."""

    carries_out = True
    flavor_capabilities: Mapping[str, str] = {"loadbalancer_topology": "How many amphorae serve: SINGLE."}
    availability_zone_capabilities: Mapping[str, str] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self, thing: Resource, graph: LoadBalancerGraph) -> None:
        """See base.Provider."""
        self._refuse(support.lacking(thing, graph))

    def check_flavor(self, data: Mapping[str, object]) -> None:
        """See base.Provider."""
        self._check_names(data, self.flavor_capabilities)
        topology = data.get("loadbalancer_topology", "SINGLE")
        if topology != "SINGLE":
            self._refuse(f"loadbalancer_topology must be SINGLE, not {topology}.")

    def check_availability_zone(self, data: Mapping[str, object]) -> None:
        """See base.Provider."""
        self._check_names(data, self.availability_zone_capabilities)

    def _check_names(self, data: Mapping[str, object], known: Mapping[str, str]) -> None:
        unknown = sorted(set(data) - set(known))
        if unknown:
            self._refuse(f"{', '.join(unknown)} cannot be chosen.")

    def _refuse(self, reason: str | None) -> None:
        if reason is not None:
            raise errors.Unsupported(provider=self.name, reason=reason)
