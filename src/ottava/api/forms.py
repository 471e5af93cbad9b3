# SPDX-License-Identifier: Apache-2.0
"""Reading request bodies by the declarations: what may be written, when, and what a null means.

Results hold Python values by attribute name, nothing else; which values fit together is rules/consistency.py's.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import falcon
import msgspec

from ottava.api.errors import shown
from ottava.model import errors, scalars
from ottava.model.attribute import Attribute, Create, Null, attributes, defaults
from ottava.model.graph import RESOURCES
from ottava.model.l7 import L7Policy
from ottava.model.resource import Declared

ALIAS = {"tenant_id": "project_id"}
"""Deprecated spellings, taken wherever the other is; they win when both are given."""

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

Values = dict[str, Any]

BESIDE: Mapping[str, Mapping[str, Attribute]] = {
    "pool": {"listener_id": Attribute(scalars.IDENTIFIER, "The listener whose default pool it becomes.")}
}
"""What a POST takes that is no attribute of the resource, by the name of its kind."""


class Form(NamedTuple):
    """What a body may hold for one resource.

    argument  what fault strings call the body
    known     attribute by name, only those that this form takes
    required  names that must be there
    nested    keys that hold other resources: name of their kind, or "" where they may not stand
    """

    cls: type[Declared]
    argument: str
    known: Mapping[str, Attribute]
    required: frozenset[str]
    nested: Mapping[str, str]


@functools.cache
def create_form(cls: type[Declared], inside: bool = False) -> Form:
    """What a POST takes; `inside`: as part of the body of its parent."""
    kind = cls.kind
    known = {name: each for name, each in attributes(cls).items() if each.create is not Create.NEVER}
    if inside:
        ties = {kind.parent, "loadbalancer_id", "project_id", "redirect_pool_id"}
        known = {name: each for name, each in known.items() if name not in ties}
    else:
        known |= BESIDE.get(kind.name, {})
    whole = inside or kind.parent is None
    return Form(
        cls,
        kind.argument,
        known,
        frozenset(name for name, each in known.items() if each.create is Create.REQUIRED),
        {key: target if whole else "" for key, target in kind.nested.items()},
    )


@functools.cache
def update_form(cls: type[Declared]) -> Form:
    """What a PUT takes."""
    known = {name: each for name, each in attributes(cls).items() if each.update}
    argument = "l7rule_" if cls.kind.argument == "rule_" else cls.kind.argument
    return Form(cls, argument, known, frozenset(), {})


def body(req: falcon.Request, argument: str, largest: int) -> object:
    """The decoded body. Raises BadBody; falcon's 413 and 415."""
    raw = req.bounded_stream.read(largest + 1) if req.content_length is not None else req.stream.read(largest + 1)
    if len(raw) > largest:
        raise falcon.HTTPContentTooLarge(description="Request is too large.")
    if not raw:
        raise errors.BadBody(argument=argument, empty=True)
    content_type = (req.content_type or "").partition(";")[0].strip().lower()
    if content_type in FORM_TYPES:
        text = shown(raw.decode("utf-8", "replace"))
        raise errors.BadForm(argument=text)
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise errors.BadMediaType(media_type=content_type)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):  # it nests as deep as the stack at most
        raise errors.BadBody(argument=argument) from None


def root(decoded: object, key: str, argument: str) -> object:
    """What stands under the root key. Raises BadBody, UnknownAttribute."""
    if not isinstance(decoded, dict):
        raise errors.BadBody(argument=argument, missing=key)
    unknown = sorted(set(decoded) - {key})
    if unknown:
        raise errors.UnknownAttribute(argument=argument, path=(), key=", ".join(unknown))
    if decoded.get(key) is None:
        raise errors.BadBody(argument=argument, missing=key)
    return decoded[key]


def entity(decoded: object, form: Form) -> Mapping[str, object]:
    """The object under the root key of a resource. Raises BadBody, UnknownAttribute, BadValue."""
    found = root(decoded, form.cls.kind.name, form.argument)
    return _object(found, form.cls.kind.name)


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise errors.BadValue(field=field, value=value, reason="Value should be an object")
    return value


def check_known(form: Form, given: Mapping[str, object], path: tuple[str, ...]) -> None:
    """Refuse keys that the form does not know. Raises UnknownAttribute."""
    aliases = {alias for alias, name in ALIAS.items() if name in form.known}
    unknown = sorted(set(given) - form.known.keys() - form.nested.keys() - aliases)
    if unknown:
        raise errors.UnknownAttribute(argument=form.argument, path=path, key=", ".join(unknown))


def create(form: Form, given: Mapping[str, object]) -> Values:
    """The values of a POST, defaults filled in. Raises BadValue, BadOption, NotFound (a null parent)."""
    values = dict(defaults(form.cls))
    for name, attribute in form.known.items():
        key = _spelling(given, name)
        if key not in given:
            if name in form.required:
                raise errors.BadValue(field=name, value=None, reason="Mandatory field missing.")
            continue
        value = given[key]
        if value is None:
            _null_on_create(form, name, attribute, values)
            continue
        read = _read(form, name, attribute, value, given)
        if attribute.create is not Create.IGNORED:
            values[name] = read
    return values


def update(form: Form, given: Mapping[str, object]) -> Values:
    """The values of a PUT: only what changes. Raises BadValue, BadOption, BadPolicy."""
    if not given and form.cls is L7Policy:
        raise errors.BadPolicy(reason="Invalid update options")
    changes: Values = {}
    for name, value in given.items():
        attribute = form.known[name]
        if value is not None:
            changes[name] = _read(form, name, attribute, value, given)
        elif attribute.null_update is Null.REFUSE:
            raise errors.BadPolicy(action=None) if name == "action" else errors.BadOption(value=None, option=name)
        elif attribute.null_update is not Null.OMIT:
            changes[name] = _null(form.cls, name, attribute.null_update)
    return changes


def _spelling(given: Mapping[str, object], name: str) -> str:
    """The key under which an attribute is given: an alias, if that is there."""
    for alias, meant in ALIAS.items():
        if meant == name and alias in given:
            return alias
    return name


def _null_on_create(form: Form, name: str, attribute: Attribute, values: Values) -> None:
    if name in form.required and name == form.cls.kind.parent:
        raise errors.NotFound(resource=RESOURCES[name.removesuffix("_id")].kind.word, id=None)
    if attribute.null_create is Null.REFUSE or (name in form.required and attribute.null_create is Null.OMIT):
        raise errors.BadOption(value=None, option=name)
    if attribute.null_create is not Null.OMIT:
        values[name] = _null(form.cls, name, attribute.null_create)


def _null(cls: type[Declared], name: str, rule: Null) -> object:
    if rule is Null.RESET:
        return defaults(cls)[name]
    return False if rule is Null.FALSE else None


_WHOLE = ("Value not an unambiguous boolean", "Value not a valid list")
"""Reasons that the contract reports about the whole argument, not about the attribute."""


def _read(form: Form, name: str, attribute: Attribute, value: object, given: object) -> object:
    try:
        return attribute.scalar.read(value)
    except (ValueError, OverflowError, RecursionError) as error:
        reason = shown(error)
        if reason.startswith(_WHOLE):
            whole = {form.cls.kind.name: given}
            raise errors.BadValue(field=form.argument, value=whole, reason=reason) from None
        raise errors.BadValue(field=name, value=value, reason=reason) from None


def refuse_nested(form: Form, given: Mapping[str, object]) -> None:
    """Outside a single-call create, other resources may not stand inside. Raises Invalid."""
    for key, target in form.nested.items():
        if not target and given.get(key):
            raise errors.Invalid(
                reason=f"{key} can only be given when a load balancer is created with all of its parts."
            )
