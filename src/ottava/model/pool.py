# SPDX-License-Identifier: Apache-2.0
"""The pool: members that share the work, and how they share it."""

from typing import Annotated

import msgspec

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation, Scalar, attributes
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, Child
from ottava.model.scalars import or_null

PROTOCOLS = ("TCP", "HTTP")
ALGORITHMS = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP")

COOKIE_NAME = r'[^\x00-\x20"(),/:;<=>?@\[\\\]{}\x7f-\U0010ffff]+\Z'
"""A cookie's name is a token (RFC 6265, section 4.1.1, by way of RFC 2616's separators)."""


class SessionPersistence(msgspec.Struct, frozen=True):
    """How requests of one client are kept on one member."""

    type: Annotated[
        str,
        Attribute(
            scalars.one_of("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"), "What tells clients apart.",
            create=Create.REQUIRED,
        ),
    ]  # fmt: skip
    cookie_name: Annotated[
        str | None,
        Attribute(scalars.string(255, 1, COOKIE_NAME, "Value should be a valid cookie name"), "For APP_COOKIE."),
    ] = None
    persistence_timeout: Annotated[
        int | None, Attribute(scalars.integer(), "Seconds; for UDP and SCTP.", since="v2.2")
    ] = None
    persistence_granularity: Annotated[
        str | None, Attribute(scalars.IP_ADDRESS, "A netmask; for UDP and SCTP.", since="v2.2")
    ] = None


def _persistence(value: object) -> dict[str, object]:
    """The keys that were given, each read; which of them must be there is rules/consistency.py's."""
    if not isinstance(value, dict):
        raise ValueError("Value should be an object")
    declared = attributes(SessionPersistence)
    unknown = [str(key) for key in value if key not in declared]
    if unknown:
        raise ValueError(f"Unknown attribute {unknown[0]}")
    return {key: None if each is None else declared[key].scalar.read(each) for key, each in value.items()}


SESSION_PERSISTENCE = Scalar(
    _persistence,
    "json",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],
        "properties": {
            name: dict(each.scalar.schema) if each.create is Create.REQUIRED else or_null(each.scalar.schema)
            for name, each in attributes(SessionPersistence).items()
        },
    },
    str,
)


class Pool(Child, kw_only=True):
    """Members that share the work."""

    kind = Kind(
        name="pool",
        plural="pools",
        word="Pool",
        argument="pool_",
        parent="loadbalancer_id",
        policy="pool",
        relations=(
            Relation("loadbalancers", "loadbalancer", "loadbalancer_id", reverse=False),
            Relation("listeners", "listener", "default_pool_id"),
            Relation("members", "member", "pool_id"),
            Relation("healthmonitor_id", "healthmonitor", "pool_id", many=False),
        ),
        nested={"members": "member", "healthmonitor": "healthmonitor"},
    )

    loadbalancer_id: Annotated[
        str, Attribute(scalars.IDENTIFIER, "Its load balancer; or give a listener.", rendered=False)
    ]
    name: Annotated[str, NAME] = ""
    description: Annotated[str, DESCRIPTION] = ""
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
    protocol: Annotated[str, Attribute(scalars.one_of(*PROTOCOLS), "What members speak.", create=Create.REQUIRED)]
    lb_algorithm: Annotated[
        str, Attribute(scalars.one_of(*ALGORITHMS), "How members share the work.", create=Create.REQUIRED, update=True)
    ]
    session_persistence: Annotated[
        SessionPersistence | None,
        Attribute(
            SESSION_PERSISTENCE, "How requests of one client are kept on one member.", update=True,
            null_update=Null.CLEAR, filterable=False,
        ),
    ] = None  # fmt: skip
