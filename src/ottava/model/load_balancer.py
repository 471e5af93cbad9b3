# SPDX-License-Identifier: Apache-2.0
"""The load balancer: the unit of everything."""

from typing import Annotated

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Relation
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, Resource


class LoadBalancer(Resource, kw_only=True):
    """A virtual IP with all that answers behind it."""

    kind = Kind(
        name="loadbalancer",
        plural="loadbalancers",
        word="Load Balancer",
        argument="load_balancer",
        policy="loadbalancer",
        relations=(
            Relation("listeners", "listener", "loadbalancer_id"),
            Relation("pools", "pool", "loadbalancer_id"),
        ),
        nested={"listeners": "listener", "pools": "pool"},
    )

    project_id: Annotated[str, Attribute(scalars.PROJECT, "The project it belongs to; the caller's by default.")]
    name: Annotated[str, NAME] = ""
    description: Annotated[str, DESCRIPTION] = ""
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
    vip_address: Annotated[
        str | None, Attribute(scalars.IP_ADDRESS, "The virtual IP; one is allocated if none is asked for.")
    ] = None
    vip_subnet_id: Annotated[str | None, Attribute(scalars.IDENTIFIER, "The subnet of the virtual IP.")] = None
    vip_network_id: Annotated[str | None, Attribute(scalars.IDENTIFIER, "The network of the virtual IP.")] = None
    vip_port_id: Annotated[
        str | None, Attribute(scalars.IDENTIFIER, "The port that holds the virtual IP; an existing one may be given.")
    ] = None
    provider: Annotated[str, Attribute(scalars.string(64), "Who carries it out.")] = "ottava"
    flavor_id: Annotated[
        str | None, Attribute(scalars.IDENTIFIER, "How it is carried out: a flavor on offer.", since="v2.6")
    ] = None
    availability_zone: Annotated[
        str | None,
        Attribute(scalars.TEXT_255, "Where it is carried out: the name of an availability zone.", since="v2.14"),
    ] = None
    topology: Annotated[
        str,
        Attribute(
            scalars.one_of("SINGLE", "ACTIVE_STANDBY", "ACTIVE_ACTIVE"), "How many amphorae serve it, and how.",
            create=Create.NEVER, rendered=False,
        ),
    ] = "SINGLE"  # fmt: skip
