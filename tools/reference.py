# SPDX-License-Identifier: Apache-2.0
"""The API for people to read: its operations out of the OpenAPI document, its attributes out of the declarations."""

import json
from collections.abc import Iterator
from typing import Any

from ottava.model.amphora import AmphoraInFull
from ottava.model.attribute import Attribute, Create, attributes, defaults
from ottava.model.catalogue import CATALOGUES
from ottava.model.graph import RESOURCES
from ottava.model.resource import Declared

Json = dict[str, Any]

HEAD = """# The API

The load-balancer v2 API, to v2.30. The same for machines: [openapi.json](openapi.json), which a running API serves at
`/openapi.json`. Where Ottava differs from Octavia on purpose stands in [differences](differences.md).

## What holds everywhere

- **Paths.** `/v2.0` stands for `/v2`, the segment `lbaas` may be left out, and all may be mounted below `/load-balancer`.
- **Bodies** are JSON, one object under its key: `{"listener": {...}}`; lists come under the plural, with `..._links` to the
  pages around. A key that is not known is refused. `PUT` changes what it names and nothing else.
- **Refusals** by what an object or the policy says: `{"faultcode": "Client", "faultstring": "...", "debuginfo": null}`;
  refusals of the path, the method or the paging: `{"code": 404, "title": "...", "description": "..."}`. The first fault that is
  found is told: body, parent (404), policy (403), sense (400), quota (403), state and clashes (409), provider (501).
- **Every answer** carries `x-openstack-request-id`.
- **Statuses.** What is PENDING is on its way; what is in ERROR says why in `fault`, which is an addition to Octavia's API and
  there only where there is a reason.
- **Lists** take `?ATTRIBUTE=VALUE` for each attribute below with a single value (exact, all must hold), `fields=a&fields=b`,
  `tags`, `tags-any`, `not-tags`, `not-tags-any`, `sort=key:desc,key2` (or `sort_key` and `sort_dir`), `limit`, `marker` and
  `page_reverse=True`.
- **Two writers.** An object's `ETag` changes whenever a wish does; a `PUT` or `DELETE` with `If-Match` that names another
  one answers 412.

Besides the statuses below, any operation may answer """


def api_reference(document: Json) -> str:
    """Everything that can be asked, and every attribute."""
    usual = sorted(_common(document), key=int)
    words = {code: _meaning(document, code) for code in usual}
    head = HEAD + ", ".join(f"{code} ({words[code]})" for code in usual) + ".\n\n## Operations\n\n"
    shown = (*RESOURCES.values(), *CATALOGUES.values(), AmphoraInFull)
    return head + _operations(document, set(usual)) + "".join(_resource(cls) for cls in shown)


def _described(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method in ("get", "post", "put", "delete"):
            if method in item:
                yield method.upper(), path, item[method]


def _common(document: Json) -> set[str]:
    """The refusals that every operation with authentication shares."""
    private = [set(each["responses"]) for _, _, each in _described(document) if each.get("security") != []]
    return set.intersection(*private)


def _meaning(document: Json, code: str) -> str:
    used = next(each["responses"][code] for _, _, each in _described(document) if each.get("security") != [])
    about: str = document["components"]["responses"][used["$ref"].rsplit("/", 1)[1]]["description"]
    return about.rstrip(".")


def _operations(document: Json, usual: set[str]) -> str:
    rows = "".join(_operation(*each, usual) for each in _described(document))
    return f"| operation | what it does | asked of the policy | answers |\n|---|---|---|---|\n{rows}\n"


def _operation(method: str, path: str, operation: Json, usual: set[str]) -> str:
    rules = operation.get("description", "").removeprefix("Policy: ").rstrip(".").replace("os_load-balancer_api:", "")
    answers = ", ".join(sorted(set(operation["responses"]) - usual))
    return f"| `{method} {path}` | {operation['summary']} | {rules} | {answers} |\n"


def _resource(cls: type[Declared]) -> str:
    rows = "".join(_attribute(cls, name, attribute) for name, attribute in attributes(cls).items())
    return (
        f"## {cls.kind.word}\n\n"
        "| attribute | kind | on create | update | default | since | what it is |\n|---|---|---|---|---|---|---|\n"
        f"{rows}\n"
    )


_CREATE = {
    Create.REQUIRED: "required",
    Create.OPTIONAL: "yes",
    Create.IGNORED: "accepted, without effect",
    Create.NEVER: "",
}


def _attribute(cls: type[Declared], name: str, attribute: Attribute) -> str:
    default = defaults(cls).get(name)
    shown = "" if default is None or default == () else f"`{json.dumps(default)}`"
    update = "yes" if attribute.update else ""
    about = attribute.about.replace("|", "\\|")
    if not attribute.rendered:
        about += " Not shown."
    return f"| `{name}` | {_kind(attribute)} | {_CREATE[attribute.create]} | {update} | {shown} | {attribute.since} | {about} |\n"


def _kind(attribute: Attribute) -> str:
    return ", ".join(_schema(dict(attribute.scalar.schema))).replace("|", "\\|")


def _schema(schema: dict[str, object]) -> Iterator[str]:
    kind = schema.pop("type", "any")
    yield str(schema.pop("format", kind))
    for example in schema.pop("examples", ()):  # type: ignore[attr-defined]
        schema.pop("pattern", None)
        yield f"such as `{example}`"
    for key, value in schema.items():
        if key == "enum":
            yield "one of " + " ".join(f"`{each}`" for each in value)  # type: ignore[attr-defined]
        elif key == "properties":
            yield "with " + " ".join(f"`{each}`" for each in value)  # type: ignore[attr-defined]
        elif key in ("additionalProperties", "required"):
            continue
        elif key == "anyOf":
            yield " or ".join(next(_schema(dict(each))) for each in value)  # type: ignore[attr-defined]
        elif key == "items" and isinstance(value, dict):
            yield "of " + ", ".join(_schema(dict(value)))
        else:
            yield f"{_WORDS.get(key, key)} `{value}`"


_WORDS = {
    "minLength": "at least so long:",
    "maxLength": "at most so long:",
    "minimum": "from",
    "maximum": "to",
    "pattern": "like",
    "maxItems": "at most so many:",
}
