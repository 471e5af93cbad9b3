# SPDX-License-Identifier: Apache-2.0
"""The member: an address and port that does the work."""

from typing import Annotated

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null
from ottava.model.resource import ADMIN_STATE_UP, NAME, VNIC_TYPES, Child


class Member(Child, kw_only=True):
    """One of those that do the work of a pool."""

    kind = Kind(name="member", plural="members", word="Member", argument="member_", parent="pool_id", policy="member")

    pool_id: Annotated[str, Attribute(scalars.IDENTIFIER, "Its pool.", create=Create.NEVER, rendered=False)]
    name: Annotated[str, NAME] = ""
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
    address: Annotated[str, Attribute(scalars.IP_ADDRESS, "Where it listens.", create=Create.REQUIRED)]
    protocol_port: Annotated[int, Attribute(scalars.PORT_NUMBER, "The port it listens on.", create=Create.REQUIRED)]
    weight: Annotated[
        int,
        Attribute(
            scalars.integer(0, 256), "Its share of the work; 0 takes no new connections.", update=True,
            null_update=Null.RESET,
        ),
    ] = 1  # fmt: skip
    backup: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Works only while no other member can.", update=True, null_create=Null.REFUSE,
            null_update=Null.FALSE, since="v2.1",
        ),
    ] = False  # fmt: skip
    subnet_id: Annotated[str | None, Attribute(scalars.IDENTIFIER, "The subnet it is reached from.")] = None
    monitor_address: Annotated[
        str | None,
        Attribute(
            scalars.IP_ADDRESS, "Where its health is checked, if elsewhere.", update=True, null_update=Null.CLEAR
        ),
    ] = None
    monitor_port: Annotated[
        int | None,
        Attribute(
            scalars.PORT_NUMBER, "The port its health is checked on, if another.", update=True,
            null_update=Null.CLEAR,
        ),
    ] = None  # fmt: skip
    request_sriov: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Whether it shall be reached through an SR-IOV port.", null_create=Null.FALSE,
            rendered=False, filterable=False, since="v2.30",
        ),
    ] = False  # fmt: skip
    vnic_type: Annotated[
        str,
        Attribute(
            scalars.one_of(*VNIC_TYPES), "The kind of port that it is reached through.", create=Create.NEVER,
            since="v2.30",
        ),
    ] = "normal"  # fmt: skip
