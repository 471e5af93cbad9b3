# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of what goes in and what comes out, by the declarations."""

import types
import typing
from collections.abc import Iterable, Mapping

import msgspec

from ottava.api import forms
from ottava.model.attribute import Attribute, Null, Relation, attributes, defaults
from ottava.model.graph import RESOURCES
from ottava.model.quota import ALIASES, Quota
from ottava.model.resource import Declared
from ottava.model.scalars import or_null

Json = dict[str, object]

TEXT: Json = {"type": "string"}
IDENTIFIER: Json = {"type": "string", "format": "uuid"}
OCCASIONAL = ("fault",)
"""Attributes that are in an answer only where there is something to say."""


def ref(name: str) -> Json:
    """A reference to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Mapping[str, object], required: Iterable[str] = ()) -> Json:
    """An object that has no other keys than these."""
    names = sorted(required)
    found: Json = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return {**found, "required": names} if names else found


def whole(properties: Mapping[str, object]) -> Json:
    """An object that has exactly these keys."""
    return closed(properties, properties)


def array(item: object) -> Json:
    """A list."""
    return {"type": "array", "items": item}


def components(classes: Iterable[type[Declared]]) -> Json:
    """Every schema that has a name."""
    found: Json = {
        "Fault": whole(
            {"faultcode": {"enum": ["Client", "Server"]}, "faultstring": TEXT, "debuginfo": {"type": "null"}}
        ),
        "RoutingFault": whole({"code": {"type": "integer"}, "title": TEXT, "description": TEXT}),
        "Unauthenticated": whole({"error": whole({"code": {"const": 401}, "title": TEXT, "message": TEXT})}),
        "Reference": whole({"id": IDENTIFIER}),
        "PoolReference": whole({"name": {**TEXT, "description": "That of a pool defined elsewhere in the request."}}),
        "Link": whole({"href": {**TEXT, "format": "uri"}, "rel": {"enum": ["previous", "next"]}}),
    }
    for cls in classes:
        found |= _of(cls)
    return found | _quotas()


def _of(cls: type[Declared]) -> Json:
    """listenerCreate, listenerUpdate and listenerInside go in; the others come out.

    listener may lack anything, since `fields` chooses; listenerFull does not; listenerTree has its children in full.
    """
    name = cls.kind.name
    form, inside = forms.create_form(cls), forms.create_form(cls, inside=True)
    update = {
        each: _described(declared, _may_be_null(declared)) for each, declared in forms.update_form(cls).known.items()
    }
    return {
        name: closed(own(cls) | {relation.name: _relation(relation) for relation in cls.kind.relations}),
        f"{name}Full": {"allOf": [ref(name), {"required": sorted(_always(cls))}]},
        f"{name}Create": closed(_aliased(_taken(cls, form)) | _nested(form), form.required),
        f"{name}Update": closed(update),
        f"{name}Inside": closed(_taken(cls, inside) | _nested(inside), inside.required),
        f"{name}Tree": _tree(cls),
    }


def _may_be_null(attribute: Attribute) -> bool:
    return attribute.null_update is not Null.REFUSE


def _described(attribute: Attribute, nullable: bool) -> Json:
    schema = or_null(attribute.scalar.schema) if nullable else dict(attribute.scalar.schema)
    return {**schema, "description": f"{attribute.about} Since {attribute.since}."}


def _taken(cls: type[Declared], form: forms.Form) -> Json:
    """The attributes of a POST, with their defaults."""
    found: Json = {}
    for name, attribute in form.known.items():
        required = name in form.required
        refused = (Null.REFUSE, Null.OMIT) if required else (Null.REFUSE,)
        schema = _described(attribute, attribute.null_create not in refused)
        if not required and name in defaults(cls):
            schema["default"] = msgspec.to_builtins(defaults(cls)[name])
        found[name] = schema
    return found


def _aliased(properties: Json) -> Json:
    for alias, name in forms.ALIAS.items():
        if name in properties:
            properties[alias] = {"type": ["string", "null"], "deprecated": True, "description": f"As {name}."}
    return properties


def _nested(form: forms.Form) -> Json:
    found: Json = {}
    for key, target in form.nested.items():
        if target and key == RESOURCES[target].kind.plural:
            found[key] = or_null(array(ref(f"{target}Inside")))
        elif target:
            choices = [ref(f"{target}Inside"), {"type": "null"}]
            found[key] = {"anyOf": choices if key == target else [ref("PoolReference"), *choices]}
    return found


def own(cls: type[Declared]) -> Json:
    """The attributes in an answer, without relations."""
    hints = typing.get_type_hints(cls)
    found = {
        name: _described(each, name not in OCCASIONAL and _optional(hints[name]))
        for name, each in attributes(cls).items()
        if each.rendered
    }
    if "project_id" in found:
        found["tenant_id"] = {**TEXT, "deprecated": True, "description": "As project_id."}
    return dict(found)


def _optional(hint: object) -> bool:
    return isinstance(hint, types.UnionType) and types.NoneType in typing.get_args(hint)


def _always(cls: type[Declared]) -> tuple[str, ...]:
    """What is in an answer that was not asked for by `fields`."""
    many = (relation.name for relation in cls.kind.relations if relation.many)
    return (*(name for name in own(cls) if name not in OCCASIONAL), *many)


def _relation(relation: Relation) -> Json:
    return array(ref("Reference")) if relation.many else IDENTIFIER


def _tree(cls: type[Declared]) -> Json:
    """A resource with its children in full, as the creation of a whole load balancer answers it."""
    inside: Json = {}
    for key, target in cls.kind.nested.items():
        if key == RESOURCES[target].kind.plural:
            inside[key] = array(ref(f"{target}Tree"))
        elif key == target:
            inside[key] = ref(f"{target}Tree")
    related = {relation.name: _relation(relation) for relation in cls.kind.relations if relation.many}
    mine = own(cls)
    return closed(related | mine | inside, [name for name in mine if name not in OCCASIONAL])


def _quotas() -> Json:
    update = {name: _described(each, True) for name, each in attributes(Quota).items()}
    limits = {name: _described(each, False) for name, each in attributes(Quota).items()}
    for alias, name in ALIASES.items():
        update[alias] = {**update[name], "deprecated": True}
        limits[alias] = {**limits[name], "deprecated": True}
    return {"quota": closed({"project_id": TEXT, "tenant_id": TEXT, **limits}), "quotaUpdate": closed(update)}
