# SPDX-License-Identifier: Apache-2.0
"""What every resource has, declared once."""

from typing import Annotated, ClassVar

import msgspec

from ottava.model import scalars, status
from ottava.model.attribute import Attribute, Create, Kind, Null

ID = Attribute(scalars.IDENTIFIER, "The id.", create=Create.NEVER)
NAME = Attribute(scalars.TEXT_255, "A name for people; not unique.", update=True, null_update=Null.RESET)
DESCRIPTION = Attribute(scalars.TEXT_255, "A text for people.", update=True, null_update=Null.RESET)
ADMIN_STATE_UP = Attribute(
    scalars.BOOLEAN,
    "Whether the object is up; a disabled one is kept, and not applied.",
    update=True,
    null_create=Null.FALSE,
    null_update=Null.FALSE,
)

VNIC_TYPES = ("normal", "direct")
"""Kinds of ports: virtual ones, and those of SR-IOV."""


class Declared(msgspec.Struct, kw_only=True):
    """Whatever has a kind and declared attributes."""

    kind: ClassVar[Kind]


class Resource(Declared, kw_only=True):
    """The base of every resource of a project. Times are UTC, ISO 8601 with microseconds; "" never occurs as an id.

    generation  that of its load balancer when it last changed: at or below the load balancer's
                observed generation, the change is applied
    fault       why its provisioning status is ERROR, in words, None when it is not
    """

    id: Annotated[str, ID]
    project_id: Annotated[str, Attribute(scalars.PROJECT, "The project it belongs to.", create=Create.IGNORED)]
    provisioning_status: Annotated[
        str, Attribute(scalars.one_of(*status.PROVISIONING), "How far the last change is.", create=Create.NEVER)
    ] = status.PENDING_CREATE
    operating_status: Annotated[
        str, Attribute(scalars.one_of(*status.OPERATING), "What was last seen of it.", create=Create.NEVER)
    ] = status.OFFLINE
    created_at: Annotated[str, Attribute(scalars.TIMESTAMP, "When it was created.", create=Create.NEVER)]
    updated_at: Annotated[
        str | None, Attribute(scalars.TIMESTAMP, "When it was last updated.", create=Create.NEVER)
    ] = None
    tags: Annotated[
        tuple[str, ...],
        Attribute(
            scalars.TAGS, "Words to find it by.", update=True, null_update=Null.OMIT, stored=False, filterable=False,
            since="v2.5",
        ),
    ] = ()  # fmt: skip
    generation: Annotated[
        int,
        Attribute(
            scalars.integer(0), "The generation of its last change.", create=Create.NEVER, rendered=False,
            filterable=False,
        ),
    ] = 0  # fmt: skip
    fault: Annotated[
        str | None, Attribute(scalars.FAULT, "Why it is in ERROR.", create=Create.NEVER, filterable=False)
    ] = None


class Child(Resource, kw_only=True):
    """A resource inside a load balancer's tree."""

    loadbalancer_id: Annotated[
        str, Attribute(scalars.IDENTIFIER, "Its load balancer.", create=Create.NEVER, rendered=False)
    ]
