# SPDX-License-Identifier: Apache-2.0
"""The provider that does nothing, for tests of clients: it takes everything, and everything is so at once."""

from collections.abc import Mapping

from ottava.model.graph import LoadBalancerGraph
from ottava.model.resource import Resource


class Noop:
    """See base.Provider."""

    carries_out = False
    flavor_capabilities: Mapping[str, str] = {
        "loadbalancer_topology": "Taken, without effect.",
        "sriov_vip": "Whether vip_vnic_type is direct.",
        "allow_member_sriov": "Whether members may have request_sriov.",
    }
    availability_zone_capabilities: Mapping[str, str] = {"compute_zone": "Taken, without effect."}

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self, thing: Resource, graph: LoadBalancerGraph) -> None:
        """See base.Provider."""

    def check_flavor(self, data: Mapping[str, object]) -> None:
        """See base.Provider."""

    def check_availability_zone(self, data: Mapping[str, object]) -> None:
        """See base.Provider."""
