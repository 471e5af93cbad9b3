# SPDX-License-Identifier: Apache-2.0
"""The API described for machines (OpenAPI 3.1), out of the declarations and the policy rules."""

import functools
import re
from collections.abc import Mapping

import falcon
import msgspec

from ottava import policies
from ottava.api import forms
from ottava.model.attribute import Attribute, Null, attributes, defaults
from ottava.model.graph import RESOURCES
from ottava.model.quota import Quota
from ottava.model.resource import Resource

Json = dict[str, object]

_OK = {"post": "201", "put": "200", "delete": "204", "get": "200"}
_FAULT: Json = {"$ref": "#/components/schemas/Fault"}
_STATUSES = {
    "400": "The request makes no sense; the fault says why.",
    "401": "Not authenticated.",
    "403": "The policy or a quota does not allow it.",
    "404": "There is no such object.",
    "409": "It does not fit what is there.",
}


class Document:
    """GET /openapi.json."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = encoded()


@functools.cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def document() -> Json:
    """The document."""
    components: Json = {"Fault": _fault()}
    for cls in RESOURCES.values():
        components |= _schemas(cls)
    components["Quota"] = _object({name: _schema(each, True) for name, each in attributes(Quota).items()})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ottava", "description": "Load balancing as a service.", "version": "2.30"},
        "paths": _paths(),
        "components": {"schemas": components},
    }


def _fault() -> Json:
    text: Json = {"type": "string"}
    return _object({"faultcode": text, "faultstring": text, "debuginfo": {"type": "null"}})


def _object(properties: Mapping[str, object], required: tuple[str, ...] = ()) -> Json:
    found: Json = {"type": "object", "properties": dict(properties)}
    return {**found, "required": list(required)} if required else found


def _schema(attribute: Attribute, nullable: bool) -> Json:
    schema = {**attribute.scalar.schema, "description": f"{attribute.about} Since {attribute.since}."}
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema


def _schemas(cls: type[Resource]) -> Json:
    """What goes in and comes out: listenerCreate, listenerUpdate, listener."""
    kind = cls.kind
    form, update = forms.create_form(cls), forms.update_form(cls)
    create: Json = {name: _taken(cls, form, name, each) for name, each in form.known.items()}
    create |= _nested(form)
    inside_form = forms.create_form(cls, inside=True)
    within: Json = {name: _schema(each, name not in inside_form.required) for name, each in inside_form.known.items()}
    within |= _nested(inside_form)
    shown: Json = {name: _schema(each, True) for name, each in attributes(cls).items() if each.rendered}
    identifier = _object({"id": {"type": "string", "format": "uuid"}})
    for relation in kind.relations:
        shown[relation.name] = {"type": "array", "items": identifier} if relation.many else {"type": "string"}
    return {
        kind.name: _object(shown),
        f"{kind.name}Create": _object(create, tuple(sorted(form.required))),
        f"{kind.name}Update": _object({name: _schema(each, True) for name, each in update.known.items()}),
        f"{kind.name}Inside": _object(within, tuple(sorted(inside_form.required))),
    }


def _taken(cls: type[Resource], form: forms.Form, name: str, attribute: Attribute) -> Json:
    """An attribute in the body of a POST, with its default."""
    if name in form.required:
        return _schema(attribute, False)
    schema = _schema(attribute, attribute.null_create is not Null.REFUSE)
    return {**schema, "default": msgspec.to_builtins(defaults(cls)[name])} if name in defaults(cls) else schema


def _nested(form: forms.Form) -> Json:
    found: Json = {}
    for key, target in form.nested.items():
        if target:
            one: Json = {"$ref": f"#/components/schemas/{target}Inside"}
            found[key] = {"type": "array", "items": one} if key == RESOURCES[target].kind.plural else one
    return found


def _paths() -> Json:
    """Every operation that a policy rule and a route know."""
    kinds = {cls.kind.policy: cls for cls in RESOURCES.values()}
    found: dict[str, Json] = {}
    for rule in policies.list_rules():
        resource, _, verb = rule.name.removeprefix(policies.PREFIX).partition(":")
        if resource not in kinds or "global" in verb or "vip_sg" in verb:
            continue
        for operation in rule.operations:  # type: ignore[attr-defined]
            path = operation["path"]
            item = found.setdefault(path, _parameters(path))
            item[operation["method"].lower()] = _operation(
                kinds[resource], verb, operation["method"].lower(), rule.name
            )
    return dict(found)


def _parameters(path: str) -> Json:
    names = re.findall(r"\{(\w+)\}", path)
    if not names:
        return {}
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    }


def _operation(cls: type[Resource], verb: str, method: str, rule: str) -> Json:
    kind = cls.kind
    responses: Json = {code: {"description": text, **_json(_FAULT)} for code, text in _STATUSES.items()}
    answer: Json = {"description": "Done."}
    one: Json = _object({kind.name: {"$ref": f"#/components/schemas/{kind.name}"}})
    operation: Json = {"operationId": f"{kind.policy}_{verb}", "description": f"Policy rule {rule}."}
    if verb == "get_all":
        many = {"type": "array", "items": {"$ref": f"#/components/schemas/{kind.name}"}}
        answer |= _json(_object({kind.plural: many, f"{kind.plural}_links": {"type": "array"}}))
    elif verb in ("get_one", "post", "put"):
        answer |= _json(one)
    form = {"post": "Create", "put": "Update"}.get(verb)
    if form:
        body = _object({kind.name: {"$ref": f"#/components/schemas/{kind.name}{form}"}}, (kind.name,))
        operation["requestBody"] = {"required": True, **_json(body)}
    responses["202" if verb == "put_failover" else _OK[method]] = answer
    return {**operation, "responses": responses}


def _json(schema: object) -> Json:
    return {"content": {"application/json": {"schema": schema}}}
