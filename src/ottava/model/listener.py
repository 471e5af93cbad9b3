# SPDX-License-Identifier: Apache-2.0
"""The listener: a port of the virtual IP, and what happens to what arrives there."""

from typing import Annotated

import msgspec

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, Child

PROTOCOLS = ("TCP", "HTTP")

POOL_PROTOCOLS = {"TCP": ("TCP", "HTTP"), "HTTP": ("HTTP",)}
"""Which pools may stand behind which listeners."""

INSERT_HEADERS = ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto")


class Listener(Child, kw_only=True):
    """A port of the virtual IP."""

    kind = Kind(
        name="listener",
        plural="listeners",
        word="Listener",
        argument="listener_",
        parent="loadbalancer_id",
        policy="listener",
        relations=(
            Relation("loadbalancers", "loadbalancer", "loadbalancer_id", reverse=False),
            Relation("l7policies", "l7policy", "listener_id"),
        ),
        nested={"default_pool": "pool", "l7policies": "l7policy"},
    )

    loadbalancer_id: Annotated[
        str, Attribute(scalars.IDENTIFIER, "Its load balancer.", create=Create.REQUIRED, rendered=False)
    ]
    name: Annotated[str, NAME] = ""
    description: Annotated[str, DESCRIPTION] = ""
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
    protocol: Annotated[
        str, Attribute(scalars.one_of(*PROTOCOLS), "What is spoken on the port.", create=Create.REQUIRED)
    ]
    protocol_port: Annotated[int, Attribute(scalars.PORT_NUMBER, "The port.", create=Create.REQUIRED)]
    connection_limit: Annotated[
        int | None,
        Attribute(
            scalars.integer(-1), "Connections at the same time, -1 for no limit.", update=True,
            null_create=Null.CLEAR, null_update=Null.RESET,
        ),
    ] = -1  # fmt: skip
    default_pool_id: Annotated[
        str | None,
        Attribute(
            scalars.IDENTIFIER, "Where requests go that no L7 policy takes.", update=True, null_update=Null.CLEAR
        ),
    ] = None
    insert_headers: Annotated[
        dict[str, str],
        Attribute(
            scalars.mapping_of(scalars.TEXT_255), "Headers to add to requests: name to \"true\".", update=True,
            null_update=Null.RESET, filterable=False,
        ),
    ] = msgspec.field(default_factory=dict)  # fmt: skip
    timeout_client_data: Annotated[
        int,
        Attribute(
            scalars.MILLISECONDS, "Milliseconds a client may be silent.", update=True, null_update=Null.RESET,
            since="v2.1",
        ),
    ] = 50000  # fmt: skip
    timeout_member_connect: Annotated[
        int,
        Attribute(
            scalars.MILLISECONDS, "Milliseconds to connect to a member.", update=True, null_update=Null.RESET,
            since="v2.1",
        ),
    ] = 5000  # fmt: skip
    timeout_member_data: Annotated[
        int,
        Attribute(
            scalars.MILLISECONDS, "Milliseconds a member may be silent.", update=True, null_update=Null.RESET,
            since="v2.1",
        ),
    ] = 50000  # fmt: skip
    timeout_tcp_inspect: Annotated[
        int,
        Attribute(
            scalars.MILLISECONDS, "Milliseconds to wait for more bytes before the content is inspected.",
            update=True, null_update=Null.RESET, since="v2.1",
        ),
    ] = 0  # fmt: skip
    allowed_cidrs: Annotated[
        tuple[str, ...] | None,
        Attribute(
            scalars.list_of(scalars.CIDR, unique=True), "Who may connect; everybody if null.", update=True,
            null_update=Null.CLEAR, filterable=False, since="v2.12",
        ),
    ] = None  # fmt: skip
