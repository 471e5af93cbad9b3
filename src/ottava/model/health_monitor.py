# SPDX-License-Identifier: Apache-2.0
"""The health monitor: how a pool finds out which of its members work."""

from typing import Annotated

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation
from ottava.model.resource import ADMIN_STATE_UP, NAME, Child

TYPES = ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP")
HTTP_TYPES = ("HTTP", "HTTPS")
DATAGRAM_TYPES = ("UDP-CONNECT", "SCTP")
"""Only for pools of UDP and SCTP."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH")


class HealthMonitor(Child, kw_only=True):
    """How a pool finds out which of its members work."""

    kind = Kind(
        name="healthmonitor",
        plural="healthmonitors",
        word="Health Monitor",
        argument="health_monitor_",
        parent="pool_id",
        policy="healthmonitor",
        relations=(Relation("pools", "pool", "pool_id", reverse=False),),
    )

    pool_id: Annotated[str, Attribute(scalars.IDENTIFIER, "Its pool.", create=Create.REQUIRED, rendered=False)]
    name: Annotated[str, NAME] = ""
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
    type: Annotated[str, Attribute(scalars.one_of(*TYPES), "What is asked of a member.", create=Create.REQUIRED)]
    delay: Annotated[
        int,
        Attribute(
            scalars.integer(0, 2147483), "Seconds between two checks.", create=Create.REQUIRED, update=True,
            null_create=Null.REFUSE,
        ),
    ]  # fmt: skip
    timeout: Annotated[
        int,
        Attribute(
            scalars.integer(0, 2147483), "Seconds a check may take.", create=Create.REQUIRED, update=True,
            null_create=Null.REFUSE,
        ),
    ]  # fmt: skip
    max_retries: Annotated[
        int,
        Attribute(
            scalars.integer(1, 10), "Successes after which a member is up.", create=Create.REQUIRED, update=True,
            null_create=Null.REFUSE,
        ),
    ]  # fmt: skip
    max_retries_down: Annotated[
        int,
        Attribute(
            scalars.integer(1, 10), "Failures after which a member is down.", update=True, null_create=Null.REFUSE,
            null_update=Null.RESET,
        ),
    ] = 3  # fmt: skip
    http_method: Annotated[
        str | None,
        Attribute(scalars.one_of(*METHODS), "For HTTP and HTTPS; GET by default.", update=True, null_update=Null.CLEAR),
    ] = None
    url_path: Annotated[
        str | None, Attribute(scalars.PATH, "For HTTP and HTTPS; / by default.", update=True, null_update=Null.CLEAR)
    ] = None
    expected_codes: Annotated[
        str | None,
        Attribute(
            scalars.string(64, pattern=r"(?:[0-9]{3}(?:[ \t]*,[ \t]*[0-9]{3})*|[0-9]{3}-[0-9]{3})\Z"),
            "For HTTP and HTTPS; 200 by default: a code, a list, or a range.", update=True, null_update=Null.CLEAR,
        ),
    ] = None  # fmt: skip
    http_version: Annotated[
        float | None,
        Attribute(
            scalars.one_of_numbers("float", 1.0, 1.1), "For HTTP.", update=True, null_update=Null.CLEAR, since="v2.10"
        ),
    ] = None
    domain_name: Annotated[
        str | None,
        Attribute(
            scalars.DOMAIN_NAME, "The Host header of checks; needs HTTP 1.1.", update=True, null_update=Null.CLEAR,
            since="v2.10",
        ),
    ] = None  # fmt: skip
