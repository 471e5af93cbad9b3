# SPDX-License-Identifier: Apache-2.0
"""The load balancer: the unit of everything."""

from typing import Annotated

import msgspec

from ottava.model import errors, scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation, Scalar
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, VNIC_TYPES, Resource


class AdditionalVip(msgspec.Struct, frozen=True):
    """One more virtual IP on the same port."""

    subnet_id: Annotated[str, Attribute(scalars.IDENTIFIER, "Its subnet.", create=Create.REQUIRED)]
    ip_address: Annotated[str | None, Attribute(scalars.IP_ADDRESS, "One is allocated if none is asked for.")] = None
    port_id: Annotated[str | None, Attribute(scalars.IDENTIFIER, "Always that of the virtual IP.")] = None


def _additional_vip(value: object) -> AdditionalVip:
    if isinstance(value, AdditionalVip):
        return value
    given = scalars.read_object(AdditionalVip, value)
    if given.get("subnet_id") is None:
        raise errors.BadValue(field="subnet_id", value=None, reason="Mandatory field missing.")
    return AdditionalVip(**given)  # type: ignore[arg-type]


ADDITIONAL_VIP = Scalar(_additional_vip, "json", scalars.object_schema(AdditionalVip), str)


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
    vip_qos_policy_id: Annotated[
        str | None,
        Attribute(scalars.IDENTIFIER, "The QoS policy of the port.", update=True, null_update=Null.CLEAR),
    ] = None
    vip_sg_ids: Annotated[
        tuple[str, ...],
        Attribute(
            scalars.list_of(scalars.IDENTIFIER, unique=True), "The security groups of the port.", update=True,
            null_update=Null.RESET, filterable=False, since="v2.29",
        ),
    ] = ()  # fmt: skip
    vip_vnic_type: Annotated[
        str, Attribute(scalars.one_of(*VNIC_TYPES), "The kind of port.", create=Create.NEVER, since="v2.28")
    ] = "normal"
    additional_vips: Annotated[
        tuple[AdditionalVip, ...],
        Attribute(
            scalars.list_of(ADDITIONAL_VIP), "More virtual IPs on the same port, of other subnets of its network.",
            filterable=False, since="v2.26",
        ),
    ] = ()  # fmt: skip
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
    allow_member_sriov: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Whether its flavor lets members have SR-IOV ports.", create=Create.NEVER,
            rendered=False, filterable=False,
        ),
    ] = False  # fmt: skip
    server_group_id: Annotated[
        str | None,
        Attribute(scalars.IDENTIFIER, "What keeps its amphorae apart.", create=Create.NEVER, rendered=False),
    ] = None
