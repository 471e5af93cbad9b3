# SPDX-License-Identifier: Apache-2.0
"""The mechanism of declaration: each attribute of each resource is written down once.

A resource is a `msgspec.Struct` whose fields are `Annotated[python type, Attribute(...)]`.
Request reading, columns, filters, sort keys, OpenAPI and the reference pages are derived from
`attributes(cls)`; none of them may list attributes of its own.
"""

import enum
import functools
import typing
from collections.abc import Callable, Mapping

import msgspec


class Create(enum.Enum):
    """What a POST body may do with an attribute."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    IGNORED = "ignored"  # accepted for compatibility, without effect
    NEVER = "never"  # an unknown attribute: 400


class Null(enum.Enum):
    """What an explicit JSON null does."""

    OMIT = "omit"  # as if the key were absent
    CLEAR = "clear"  # null is stored
    RESET = "reset"  # the default is stored
    FALSE = "false"  # false is stored
    REFUSE = "refuse"  # 400


class Scalar(msgspec.Struct, frozen=True):
    """A kind of value: how it is read from JSON, kept in SQL and described to clients.

    read    takes any JSON value but null, returns the value kept, raises ValueError with the
            contract's reason ("Value should be UUID format"); an object names what of it is bad by BadValue
    sql     "string:N", "text", "integer", "float", "boolean" or "json"
    schema  its JSON Schema
    query   reads the text of a query-string filter; raises ValueError
    """

    read: Callable[[object], object]
    sql: str
    schema: Mapping[str, object]
    query: Callable[[str], object]


class Attribute(msgspec.Struct, frozen=True):
    """One attribute of a resource, everything about it.

    rendered    appears in answers
    filterable  may be named in a query string (as a filter and as a sort key)
    stored      has a column in the resource's own table (tags live in theirs)
    """

    scalar: Scalar
    about: str
    create: Create = Create.OPTIONAL
    update: bool = False
    null_create: Null = Null.OMIT
    null_update: Null = Null.REFUSE
    rendered: bool = True
    filterable: bool = True
    stored: bool = True
    since: str = "v2.0"


class Relation(msgspec.Struct, frozen=True):
    """Ids of other resources in an answer: `key` is the column that ties them together.

    reverse  the column `key` is the target's (listeners of a load balancer), else our own
    many     rendered as [{"id": ...}], else as the bare id, and the key is absent when there is none
    """

    name: str
    target: str
    key: str
    reverse: bool = True
    many: bool = True


class Kind(msgspec.Struct, frozen=True):
    """What a resource is called, in each place that calls it something.

    name      the key that wraps one in a body ("listener"); also the table and policy name
    plural    the key that wraps a list, and the collection in the URL
    word      in sentences to people ("Load Balancer")
    argument  the name the contract's fault strings give the request body
    parent    the attribute that names the parent (None for load balancers)
    key       the attribute that stands in the URL
    links     the key of the links of a list, where it is not the plural's
    nested    resources that may stand inside this one in a single-call create: key -> kind name
    """

    name: str
    plural: str
    word: str
    argument: str
    parent: str | None = None
    policy: str = ""
    key: str = "id"
    links: str = ""
    relations: tuple[Relation, ...] = ()
    nested: Mapping[str, str] = {}

    @property
    def parameter(self) -> str:
        """What names one of them in the routes."""
        return f"{self.policy.replace('-', '_')}_id"


@functools.cache
def attributes(cls: type[msgspec.Struct]) -> dict[str, Attribute]:
    """The declared attributes of a resource by name, in the order of their declaration."""
    found = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        for extra in getattr(hint, "__metadata__", ()):
            if isinstance(extra, Attribute):
                found[name] = extra
    return found


@functools.cache
def defaults(cls: type[msgspec.Struct]) -> dict[str, object]:
    """The value of each attribute that has a default, by name."""
    found = {}
    for field in msgspec.structs.fields(cls):
        if field.default is not msgspec.NODEFAULT:
            found[field.name] = field.default
        elif field.default_factory is not msgspec.NODEFAULT:
            found[field.name] = field.default_factory()
    return found
