# SPDX-License-Identifier: Apache-2.0
"""The document: every route with its operations, and what they refer to."""

import re
from collections.abc import Iterator, Mapping

import falcon
import msgspec

from ottava import policies
from ottava.api.amphorae import Amphorae, OneAmphora
from ottava.api.catalogues import Catalogue, Offer
from ottava.api.openapi import schemas
from ottava.api.openapi.operations import BODY, LIST, OPERATIONS, TAGS, Operation
from ottava.api.openapi.schemas import Json, array, closed, ref, whole
from ottava.api.paths import canonical
from ottava.api.resource import Collection, Item
from ottava.api.versions import VERSIONS
from ottava.model.attribute import attributes
from ottava.model.resource import Declared

Routes = Mapping[str, object]

COLLECTIONS = (Collection, Catalogue, Amphorae)
ITEMS = (Item, Offer, OneAmphora)
DECLARED = (*COLLECTIONS, *ITEMS)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
USUAL = (400, 401, 403, 406, 429, 500, 503)
"""What every operation that authenticates may answer instead of a good answer."""

ABOUT = """Load balancing as a service: the load-balancer v2 API.

The segment `lbaas` may be left out, `v2.0` stands for `v2`, and all may be mounted below `/load-balancer`. Besides the types
named here, integers are taken as strings, and booleans as `true`, `t`, `yes`, `y`, `on`, `1` and their opposites."""

_REFUSALS: Mapping[int, tuple[str, str, tuple[str, ...]]] = {
    400: ("BadRequest", "The request makes no sense; the answer says why.", ("Fault", "RoutingFault")),
    401: ("Unauthenticated", "It is not known who asks.", ("Unauthenticated",)),
    403: ("NotAllowed", "The policy or a quota does not allow it.", ("Fault",)),
    404: ("NotFound", "There is no such object, or no object that it should belong to.", ("Fault", "RoutingFault")),
    406: ("NotAcceptable", "The client takes no JSON.", ("RoutingFault",)),
    409: ("Conflict", "It does not fit what is there.", ("Fault",)),
    412: ("NotMatched", "It is not what If-Match says.", ("Fault",)),
    413: ("TooLarge", "The body is too large.", ("RoutingFault",)),
    415: ("NotJson", "The body does not say that it is JSON.", ("Fault",)),
    429: ("TooMany", "Too many requests.", ("Fault",)),
    500: ("Defect", "A defect of Ottava.", ("Fault",)),
    501: ("NotSupported", "The provider cannot do it.", ("Fault",)),
    503: ("Unavailable", "It cannot be answered at the moment; try again.", ("Fault",)),
}

_PARAMETERS: Mapping[str, tuple[str, Json]] = {
    "fields": ("Attributes to answer, instead of all; may be repeated.", array({"type": "string"})),
    "limit": ("Most objects in the answer.", {"type": "string", "pattern": r"^(infinite|-?[0-9]{1,9})$"}),
    "marker": ("The id of the last object of the page before.", {"type": "string", "minLength": 1}),
    "page_reverse": ("True: the page before the marker.", {"enum": ["True", "False"]}),
    "sort": ("Attributes to sort by: `key`, `key:asc` or `key:desc`, separated by commas.", {"type": "string"}),
    "sort_key": ("Attributes to sort by, separated by commas; not with sort.", {"type": "string"}),
    "sort_dir": ("asc or desc for each of sort_key, separated by commas.", {"type": "string"}),
    "tags": ("Objects that have all of these tags, separated by commas.", {"type": "string"}),
    "tags-any": ("Objects that have any of these tags.", {"type": "string"}),
    "not-tags": ("Objects that do not have all of these tags.", {"type": "string"}),
    "not-tags-any": ("Objects that have none of these tags.", {"type": "string"}),
    "cascade": ("Whether to delete what belongs to it as well.", {"type": "boolean"}),
    "If-Match": ("Change it only if this is its ETag, or one of several; `*`: whatever it is.", {"type": "string"}),
    "additive_only": ("Whether to leave members alone that are not named.", {"type": "boolean"}),
}


class Document:
    """GET /openapi.json."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._encoded = b""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._encoded = self._encoded or msgspec.json.encode(document(self._routes))
        resp.data = self._encoded


def document(routes: Routes) -> Json:
    """The document about a table of routes."""
    classes = {each.cls.kind.name: each.cls for each in routes.values() if isinstance(each, DECLARED)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ottava",
            "description": ABOUT,
            "version": VERSIONS[-1][0].removeprefix("v"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"password": []}, {}],
        "paths": {canonical(path): _item(routes, path) for path in routes},
        "components": {
            "schemas": schemas.components(classes.values()),
            "responses": {name: _refusal(code, about, bodies) for code, (name, about, bodies) in _REFUSALS.items()},
            "parameters": {name: _parameter(name, about, schema) for name, (about, schema) in _PARAMETERS.items()},
            "headers": {
                "RequestId": {"description": "The id of the request, for the log.", "schema": {"type": "string"}},
                "ETag": {"description": "Changes whenever a wish does; for If-Match.", "schema": {"type": "string"}},
            },
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "Of Keystone."},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _refusal(code: int, about: str, bodies: tuple[str, ...]) -> Json:
    found = [ref(name) for name in bodies]
    content: Json = {"application/json": {"schema": {"anyOf": found} if len(found) > 1 else found[0]}}
    if code == 413:
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": about, "headers": _HEADERS, "content": content}


_HEADERS: Json = {"x-openstack-request-id": {"$ref": "#/components/headers/RequestId"}}


_TAGGED: Json = {**_HEADERS, "ETag": {"$ref": "#/components/headers/ETag"}}


def _parameter(name: str, about: str, schema: Json) -> Json:
    return {"name": name, "in": "header" if name == "If-Match" else "query", "description": about, "schema": schema}


def _item(routes: Routes, path: str) -> Json:
    """Everything that can be done at one path."""
    item: Json = {}
    handler = routes[path]
    names = _names(path)
    if names:
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    for method in METHODS:
        if hasattr(handler, f"on_{method.lower()}"):
            operation = OPERATIONS.get(f"{method} {path}") or _generic(method, path, handler)
            if operation is not None:
                item[method.lower()] = {
                    "operationId": _operation_id(method, path, handler),
                    **_described(method, path, operation, _links(routes, method, path)),
                }
    return item


def _names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _links(routes: Routes, method: str, path: str) -> Json:
    """From what was created to what can be done with it."""
    handler = routes[path]
    if method != "POST" or not isinstance(handler, COLLECTIONS):
        return {}
    name = handler.kind.parameter
    one = f"{path}/{{{name}}}"
    known = {each: f"$request.path.{each}" for each in _names(path)}
    known[name] = f"$response.body#/{handler.kind.name}/{handler.kind.key}"
    return {
        verb.title(): {"operationId": _operation_id(verb, one, routes[one]), "parameters": known}
        for verb in METHODS
        if hasattr(routes.get(one), f"on_{verb.lower()}")
    }


def _generic(method: str, path: str, handler: object) -> Operation | None:
    """One of the five verbs of a declared resource."""
    if isinstance(handler, COLLECTIONS):
        return _of_collection(method, path, handler.cls)
    return _of_item(method, handler.cls) if isinstance(handler, ITEMS) else None


def _of_collection(method: str, path: str, cls: type[Declared]) -> Operation | None:
    kind = cls.kind
    if method == "GET":
        many = {kind.plural: array(ref(kind.name)), kind.links or f"{kind.plural}_links": array(ref("Link"))}
        return Operation(
            summary=f"List {_several(kind.word)}",
            answer=closed(many, (kind.plural,)),
            query=(*LIST, *TAGS) if "tags" in attributes(cls) else LIST,
            filters={name: each for name, each in attributes(cls).items() if each.filterable},
            refuses=(404,) if _names(path) else (),
        )
    if method == "POST":
        answer = ref(f"{kind.name}Tree" if kind.nested and not kind.parent else f"{kind.name}Full")
        return Operation(
            summary=f"Create {_one(kind.word)}",
            status=201,
            answer=whole({kind.name: answer}),
            body=whole({kind.name: ref(f"{kind.name}Create")}),
            refuses=(404, 409, 501, *BODY),
            tagged=True,
        )
    return None


def _one(word: str) -> str:
    """The word of a kind with its article, as it stands in a sentence."""
    spoken = word if word.startswith("L7") else word.lower()
    spoken = spoken.replace(" P", " p").replace(" R", " r")
    return f"{'an' if spoken[0] in 'aeiouL' else 'a'} {spoken}"


def _several(word: str) -> str:
    spoken = _one(word).partition(" ")[2]
    if spoken.endswith("y"):
        return f"{spoken[:-1]}ies"
    return spoken + ("e" if spoken == "amphora" else "s")


def _of_item(method: str, cls: type[Declared]) -> Operation | None:
    kind, word = cls.kind, _one(cls.kind.word)
    if method == "GET":
        answer = whole({kind.name: ref(kind.name)})
        return Operation(summary=f"Show {word}", answer=answer, query=("fields",), refuses=(404,), tagged=True)
    if method == "PUT":
        return Operation(
            summary=f"Update {word}",
            answer=whole({kind.name: ref(f"{kind.name}Full")}),
            body=whole({kind.name: ref(f"{kind.name}Update")}),
            query=("If-Match",),
            refuses=(404, 409, 412, 501, *BODY),
            tagged=True,
        )
    if method == "DELETE":
        query = ("cascade", "If-Match") if kind.nested and not kind.parent else ("If-Match",)
        return Operation(summary=f"Delete {word}", status=204, query=query, refuses=(404, 409, 412))
    return None


def _described(method: str, path: str, operation: Operation, links: Json) -> Json:
    good: Json = {"description": "Done.", "headers": _TAGGED if operation.tagged else _HEADERS}
    if links:
        good["links"] = links
    if operation.answer is not None:
        bodies = {"application/json": operation.answer, **operation.others}
        good["content"] = {media: {"schema": schema} for media, schema in bodies.items()}
    refuses = (*(code for code in USUAL if not operation.public or code in (406, 500, 503)), *operation.refuses)
    found: Json = {
        "summary": operation.summary,
        "tags": [path.split("/")[2] if path.count("/") > 1 else "discovery"],
        "responses": {str(operation.status): good}
        | {str(code): {"$ref": f"#/components/responses/{_REFUSALS[code][0]}"} for code in sorted(refuses)},
    }
    rules = list(_rules(method, canonical(path)))
    if rules:
        found["description"] = f"Policy: {', '.join(rules)}."
    if operation.query or operation.filters:
        found["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in operation.query]
        found["parameters"] += [
            _parameter(name, f"Only those with this value. {each.about}", dict(each.scalar.schema))
            for name, each in operation.filters.items()
        ]  # type: ignore[operator]
    if operation.body is not None:
        content = {"application/json": {"schema": operation.body}}
        found["requestBody"] = {"required": operation.body_required, "content": content}
    if operation.public:
        found["security"] = []
    if operation.others:  # it says so in the same forms that it can answer no
        found["responses"]["503"] = {**good, "description": "It cannot."}  # type: ignore[index]
    return found


_VERBS = {"POST": "create", "GET": "show", "PUT": "update", "DELETE": "delete"}


def _operation_id(method: str, path: str, handler: object) -> str:
    """A name for the functions that programs make of it."""
    if isinstance(handler, COLLECTIONS) and method == "GET":
        return f"list_{handler.kind.plural}"
    if isinstance(handler, ITEMS) or (isinstance(handler, COLLECTIONS) and method == "POST"):
        return f"{_VERBS[method]}_{handler.kind.name}"
    one = re.sub(r"(\w+)/\{\w+\}", lambda found: _singular(found[1]), path.removeprefix("/v2/"))
    return "_".join([method.lower(), *(re.findall(r"\w+", one) or ["versions"])])


def _singular(plural: str) -> str:
    return "amphora" if plural == "amphorae" else plural.removesuffix("s")


def _rules(method: str, path: str) -> Iterator[str]:
    """The policy rules that are asked."""
    for rule in policies.list_rules():
        for operation in getattr(rule, "operations", None) or ():
            if (operation["method"], operation["path"]) == (method, path):
                yield f"`{rule.name}`"
