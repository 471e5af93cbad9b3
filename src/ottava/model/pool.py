# SPDX-License-Identifier: Apache-2.0
"""The pool: members that share the work, and how they share it."""

from typing import Annotated

import msgspec

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation, Scalar
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, Child

PROTOCOLS = ("TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP")
DATAGRAM_PROTOCOLS = ("UDP", "SCTP")
"""What no stream proxy sees: clients are told apart by address alone."""

ALGORITHMS = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT")

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


SESSION_PERSISTENCE = Scalar(
    lambda value: scalars.read_object(SessionPersistence, value),
    "json",
    scalars.object_schema(SessionPersistence),
    str,
)
"""Read as the keys that were given; which of them must be there is rules/consistency/pool.py's."""


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
    tls_enabled: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Whether members are spoken to over TLS.", update=True, null_create=Null.FALSE,
            since="v2.8",
        ),
    ] = False  # fmt: skip
    tls_container_ref: Annotated[
        str | None,
        Attribute(
            scalars.REFERENCE, "The certificate that is shown to members.", update=True, null_update=Null.CLEAR,
            since="v2.8",
        ),
    ] = None  # fmt: skip
    ca_tls_container_ref: Annotated[
        str | None,
        Attribute(
            scalars.REFERENCE, "The authorities that members' certificates must come from.", update=True,
            null_update=Null.CLEAR, since="v2.8",
        ),
    ] = None  # fmt: skip
    crl_container_ref: Annotated[
        str | None,
        Attribute(
            scalars.REFERENCE, "The list of members' certificates that are revoked.", update=True,
            null_update=Null.CLEAR, since="v2.8",
        ),
    ] = None  # fmt: skip
    tls_ciphers: Annotated[
        str | None,
        Attribute(
            scalars.CIPHERS, "The ciphers offered to members, by their OpenSSL names, with colons between.",
            update=True, null_update=Null.RESET, since="v2.15",
        ),
    ] = None  # fmt: skip
    tls_versions: Annotated[
        tuple[str, ...] | None,
        Attribute(
            scalars.TLS_VERSIONS, "The versions of TLS offered to members.", update=True, null_update=Null.RESET,
            filterable=False, since="v2.18",
        ),
    ] = None  # fmt: skip
    alpn_protocols: Annotated[
        tuple[str, ...] | None,
        Attribute(
            scalars.ALPN, "The protocols offered to members inside TLS.", update=True, null_update=Null.CLEAR,
            filterable=False, since="v2.24",
        ),
    ] = None  # fmt: skip
