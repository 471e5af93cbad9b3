# SPDX-License-Identifier: Apache-2.0
"""The listener: a port of the virtual IP, and what happens to what arrives there."""

from typing import Annotated

import msgspec

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, Child

PROTOCOLS = ("TCP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "UDP", "SCTP", "PROMETHEUS")

POOL_PROTOCOLS = {
    "TCP": ("TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"),
    "HTTP": ("HTTP", "PROXY", "PROXYV2"),
    "HTTPS": ("HTTPS", "TCP", "PROXY", "PROXYV2"),
    "TERMINATED_HTTPS": ("HTTP", "PROXY", "PROXYV2"),
    "UDP": ("UDP",),
    "SCTP": ("SCTP",),
    "PROMETHEUS": (),
}
"""Which pools may stand behind which listeners."""

HTTP_PROTOCOLS = ("HTTP", "TERMINATED_HTTPS")
"""Where requests are seen, so that they can be told apart and added to."""

INSERT_HEADERS = (
    "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP",
)  # fmt: skip
TLS_INSERT_HEADERS = (
    "X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer",
    "X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After",
)  # fmt: skip
"""Headers about a client's certificate: only a listener that terminates TLS knows them."""


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
    default_tls_container_ref: Annotated[
        str | None, Attribute(scalars.REFERENCE, "The certificate that is shown.", update=True, null_update=Null.CLEAR)
    ] = None
    sni_container_refs: Annotated[
        tuple[str, ...],
        Attribute(
            scalars.REFERENCES, "More certificates, chosen by the name that the client asks for.", update=True,
            null_update=Null.RESET, filterable=False,
        ),
    ] = ()  # fmt: skip
    client_ca_tls_container_ref: Annotated[
        str | None,
        Attribute(
            scalars.REFERENCE, "The authorities that clients' certificates must come from.", update=True,
            null_update=Null.CLEAR, since="v2.8",
        ),
    ] = None  # fmt: skip
    client_authentication: Annotated[
        str,
        Attribute(
            scalars.one_of("NONE", "OPTIONAL", "MANDATORY"), "Whether clients must show a certificate.", update=True,
            null_create=Null.REFUSE, null_update=Null.CLEAR, since="v2.8",
        ),
    ] = "NONE"  # fmt: skip
    client_crl_container_ref: Annotated[
        str | None,
        Attribute(
            scalars.REFERENCE, "The list of clients' certificates that are revoked.", update=True,
            null_update=Null.CLEAR, since="v2.8",
        ),
    ] = None  # fmt: skip
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
    tls_ciphers: Annotated[
        str | None,
        Attribute(
            scalars.CIPHERS, "The ciphers offered, by their OpenSSL names, with colons between.", update=True,
            null_update=Null.RESET, since="v2.15",
        ),
    ] = None  # fmt: skip
    tls_versions: Annotated[
        tuple[str, ...] | None,
        Attribute(
            scalars.TLS_VERSIONS, "The versions of TLS offered.", update=True, null_update=Null.RESET,
            filterable=False, since="v2.17",
        ),
    ] = None  # fmt: skip
    alpn_protocols: Annotated[
        tuple[str, ...] | None,
        Attribute(
            scalars.ALPN, "The protocols offered inside TLS, the preferred one first.", update=True,
            null_update=Null.RESET, filterable=False, since="v2.20",
        ),
    ] = None  # fmt: skip
    hsts_max_age: Annotated[
        int | None,
        Attribute(
            scalars.integer(0), "Seconds for which browsers shall use TLS only; null sends no such header.",
            update=True, null_update=Null.CLEAR, since="v2.27",
        ),
    ] = None  # fmt: skip
    hsts_include_subdomains: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Whether that holds for names below too.", update=True, null_create=Null.FALSE,
            null_update=Null.FALSE, since="v2.27",
        ),
    ] = False  # fmt: skip
    hsts_preload: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Whether browsers may be shipped with it.", update=True, null_create=Null.FALSE,
            null_update=Null.FALSE, since="v2.27",
        ),
    ] = False  # fmt: skip
