# SPDX-License-Identifier: Apache-2.0
"""Layer 7: policies that take a request out of its way, and the rules by which they do."""

from typing import Annotated

from ottava.model import scalars
from ottava.model.attribute import Attribute, Create, Kind, Null, Relation
from ottava.model.resource import ADMIN_STATE_UP, DESCRIPTION, NAME, Child

ACTIONS = ("REJECT", "REDIRECT_TO_URL", "REDIRECT_TO_POOL", "REDIRECT_PREFIX")
TYPES = (
    "HOST_NAME", "PATH", "FILE_TYPE", "HEADER", "COOKIE", "SSL_CONN_HAS_CERT", "SSL_VERIFY_RESULT", "SSL_DN_FIELD",
)  # fmt: skip
COMPARISONS = ("REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO")
APPEND = 2147483647
"""The position that means "last"."""
RULES_PER_POLICY = 50

NO_LINE_BREAK = r"[^\r\n]*\Z"


class L7Policy(Child, kw_only=True):
    """What to do with requests that match all of its rules."""

    kind = Kind(
        name="l7policy",
        plural="l7policies",
        word="L7 Policy",
        argument="l7policy_",
        parent="listener_id",
        policy="l7policy",
        relations=(Relation("rules", "rule", "l7policy_id"),),
        nested={"redirect_pool": "pool", "rules": "rule"},
    )

    listener_id: Annotated[str, Attribute(scalars.IDENTIFIER, "Its listener.", create=Create.REQUIRED)]
    name: Annotated[str, NAME] = ""
    description: Annotated[str, DESCRIPTION] = ""
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
    action: Annotated[str, Attribute(scalars.one_of(*ACTIONS), "What is done.", create=Create.REQUIRED, update=True)]
    redirect_pool_id: Annotated[
        str | None,
        Attribute(scalars.IDENTIFIER, "For REDIRECT_TO_POOL.", update=True, null_update=Null.OMIT),
    ] = None
    redirect_url: Annotated[
        str | None, Attribute(scalars.URL, "For REDIRECT_TO_URL.", update=True, null_update=Null.OMIT)
    ] = None
    redirect_prefix: Annotated[
        str | None, Attribute(scalars.URL, "For REDIRECT_PREFIX.", update=True, null_update=Null.OMIT)
    ] = None
    redirect_http_code: Annotated[
        int | None,
        Attribute(
            scalars.one_of_numbers("integer", 301, 302, 303, 307, 308), "The status code of a redirect.",
            update=True, null_update=Null.CLEAR, since="v2.9",
        ),
    ] = None  # fmt: skip
    position: Annotated[
        int,
        Attribute(
            scalars.integer(1, APPEND), "Its place among the policies of the listener, from 1.", update=True,
            null_update=Null.OMIT,
        ),
    ] = APPEND  # fmt: skip


class L7Rule(Child, kw_only=True):
    """What a request must be like."""

    kind = Kind(name="rule", plural="rules", word="L7 Rule", argument="rule_", parent="l7policy_id", policy="l7rule")

    l7policy_id: Annotated[str, Attribute(scalars.IDENTIFIER, "Its policy.", create=Create.NEVER, rendered=False)]
    type: Annotated[str, Attribute(scalars.one_of(*TYPES), "What is looked at.", create=Create.REQUIRED, update=True)]
    compare_type: Annotated[
        str, Attribute(scalars.one_of(*COMPARISONS), "How it is compared.", create=Create.REQUIRED, update=True)
    ]
    key: Annotated[
        str | None,
        Attribute(
            scalars.string(255, pattern=NO_LINE_BREAK), "The name of the header, the cookie, or the field of the client's name.", update=True,
            null_update=Null.CLEAR,
        ),
    ] = None  # fmt: skip
    value: Annotated[
        str,
        Attribute(
            scalars.string(255, 1, NO_LINE_BREAK), "What it is compared with.", create=Create.REQUIRED, update=True
        ),
    ]
    invert: Annotated[
        bool,
        Attribute(
            scalars.BOOLEAN, "Match what does not compare.", update=True, null_create=Null.FALSE,
            null_update=Null.FALSE,
        ),
    ] = False  # fmt: skip
    admin_state_up: Annotated[bool, ADMIN_STATE_UP] = True
