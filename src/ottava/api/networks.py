# SPDX-License-Identifier: Apache-2.0
"""The networks that load balancers may be put into, where no network service of the cloud lists them.

Clients look the names and ids of networks and subnets up before they ask for a load balancer; with a fixed endpoint
(auth type none, http_basic) they ask here. Only what such a look-up needs is answered, and nothing can be changed.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

import falcon
import msgspec

from ottava.api import query_string
from ottava.api.site import Site
from ottava.cloud.network.base import Network, Subnet

Row = Mapping[str, object]


class Networks:
    """GET networks, filtered by any attribute."""

    def __init__(self, site: Site) -> None:
        self._rows = [_network(network) for network in site.network.networks()]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = msgspec.json.encode({"networks": _matching(self._rows, req)})


class Subnets:
    """GET subnets, filtered by any attribute."""

    def __init__(self, site: Site) -> None:
        self._rows = [_subnet(subnet) for network in site.network.networks() for subnet in network.subnets]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = msgspec.json.encode({"subnets": _matching(self._rows, req)})


def _network(network: Network) -> Row:
    subnets = [subnet.id for subnet in network.subnets]
    return {"id": network.id, "name": network.name, "status": "ACTIVE", "admin_state_up": True, "subnets": subnets}


def _subnet(subnet: Subnet) -> Row:
    return {
        "id": subnet.id,
        "name": subnet.name,
        "network_id": subnet.network_id,
        "cidr": subnet.cidr,
        "ip_version": ip_network(subnet.cidr).version,
        "gateway_ip": subnet.gateway,
        "enable_dhcp": False,
    }


def _matching(rows: Iterable[Row], req: falcon.Request) -> list[Row]:
    wanted = [(key, value) for key, value in query_string.pairs(req.query_string) if value]
    return [row for row in rows if all(str(row[key]) == value for key, value in wanted if key in row)]
