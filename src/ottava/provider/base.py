# SPDX-License-Identifier: Apache-2.0
"""What a provider is: who carries load balancers out, and what it can do."""

from collections.abc import Mapping
from typing import Protocol

from ottava.model.graph import LoadBalancerGraph
from ottava.model.resource import Resource


class Provider(Protocol):
    """One provider under one name.

    carries_out                     False where nobody carries anything out, so that what is wished is so at once
    flavor_capabilities             what flavor_data may say: name to description
    availability_zone_capabilities  what availability_zone_data may say
    """

    name: str
    carries_out: bool
    flavor_capabilities: Mapping[str, str]
    availability_zone_capabilities: Mapping[str, str]

    def check(self, thing: Resource, graph: LoadBalancerGraph) -> None:
        """Refuse what is created or updated and cannot be carried out; it never blocks. Raises errors.Unsupported."""

    def check_flavor(self, data: Mapping[str, object]) -> None:
        """Refuse a flavor that cannot be carried out. Raises errors.Unsupported."""

    def check_availability_zone(self, data: Mapping[str, object]) -> None:
        """Refuse an availability zone that cannot be carried out. Raises errors.Unsupported."""
