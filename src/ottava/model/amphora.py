# SPDX-License-Identifier: Apache-2.0
"""Hosts and amphorae: where load balancers are served."""

from typing import Annotated

import msgspec

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Scalar
from ottava.model.resource import Declared

STATUSES = (
    "ALLOCATED", "BOOTING", "READY", "PENDING_CREATE", "PENDING_DELETE", "DELETED", "ERROR", "FAILOVER_STOPPED",
)  # fmt: skip
"""Of an amphora, as clients know them; Ottava's own are those of Amphora."""


class Host(msgspec.Struct, kw_only=True):
    """A machine that runs the agent.

    name       unique, chosen by the operator (the machine's name by default)
    url        where its agent listens, https://address:port
    last_seen  database time in seconds of its last heartbeat
    facts      wire.Facts as plain data
    """

    name: str
    url: str
    last_seen: float
    facts: dict[str, object] = msgspec.field(default_factory=dict)


def _seen(scalar: Scalar, about: str, rendered: bool = True, since: str = "v2.0") -> Attribute:
    """An attribute that nobody writes."""
    return Attribute(scalar, about, create=Create.NEVER, rendered=rendered, filterable=rendered, since=since)


class Amphora(Declared, kw_only=True):
    """One network namespace on a host, with the proxies of one load balancer in it.

    role    STANDALONE, MASTER or BACKUP
    status  ALLOCATED (wanted), ERROR (its host is lost), FAILOVER_STOPPED (its host is lost, with too many others to
            replace it) or PENDING_DELETE (to be removed)
    """

    kind = Kind(name="amphora", plural="amphorae", word="Amphora", argument="amphora_", policy="amphora")

    id: Annotated[str, _seen(scalars.IDENTIFIER, "The id.")]
    loadbalancer_id: Annotated[str, _seen(scalars.IDENTIFIER, "The load balancer that it serves.")]
    host: Annotated[str, _seen(scalars.TEXT_255, "The host that carries it.", rendered=False)]
    role: Annotated[
        str, _seen(scalars.one_of("STANDALONE", "MASTER", "BACKUP"), "What it is to its load balancer.")
    ] = "STANDALONE"
    status: Annotated[str, _seen(scalars.one_of(*STATUSES), "What is to become of it.")] = "ALLOCATED"
    created_at: Annotated[str, _seen(scalars.TIMESTAMP, "When it was placed.")] = ""


class AmphoraInFull(Amphora, kw_only=True):
    """An amphora as administrators see it, with what its host and its load balancer say of it.

    What amphorae have that are virtual machines of their own is null.
    """

    project_id: Annotated[
        str | None, Attribute(scalars.PROJECT, "Whose load balancer it serves.", create=Create.NEVER, rendered=False)
    ] = None
    lb_network_ip: Annotated[str | None, _seen(scalars.IP_ADDRESS, "Where the agent of its host answers.")] = None
    ha_ip: Annotated[str | None, _seen(scalars.IP_ADDRESS, "The virtual IP.")] = None
    ha_port_id: Annotated[str | None, _seen(scalars.IDENTIFIER, "The port of the virtual IP.")] = None
    compute_id: Annotated[str | None, _seen(scalars.IDENTIFIER, "Its virtual machine.")] = None
    image_id: Annotated[str | None, _seen(scalars.IDENTIFIER, "The image of its virtual machine.")] = None
    compute_flavor: Annotated[
        str | None, _seen(scalars.TEXT_255, "The flavor of its virtual machine.", since="v2.3")
    ] = None
    cached_zone: Annotated[str | None, _seen(scalars.TEXT_255, "The zone of its virtual machine.")] = None
    cert_expiration: Annotated[
        str | None, _seen(scalars.TIMESTAMP, "When the certificate of its own agent runs out.")
    ] = None
    cert_busy: Annotated[bool, _seen(scalars.BOOLEAN, "Whether that certificate is being renewed.")] = False
    vrrp_ip: Annotated[str | None, _seen(scalars.IP_ADDRESS, "Its own address beside the virtual IP.")] = None
    vrrp_port_id: Annotated[str | None, _seen(scalars.IDENTIFIER, "The port of that address.")] = None
    vrrp_interface: Annotated[str | None, _seen(scalars.TEXT_255, "The interface of that address.")] = None
    vrrp_id: Annotated[int | None, _seen(scalars.integer(1, 255), "The number of its VRRP router.")] = None
    vrrp_priority: Annotated[int | None, _seen(scalars.integer(1, 255), "Its priority there.")] = None
    updated_at: Annotated[str | None, _seen(scalars.TIMESTAMP, "When it last changed.")] = None
