# SPDX-License-Identifier: Apache-2.0
"""Whether answers are as the OpenAPI document says: asked of every answer that the tests of the API see."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import msgspec

from ottava.api import paths

Json = dict[str, Any]


class Conformance:
    """Holds answers against one document."""

    def __init__(self, document: Json) -> None:
        self._document: Json = msgspec.json.decode(msgspec.json.encode(document))
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z"), item) for path, item in document["paths"].items()
        ]
        self._paths.sort(key=lambda each: each[0].pattern.count("[^/]+"))
        self._validator = functools.cache(self._compiled)

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Raises AssertionError for an answer that the document does not describe."""
        operation = self._operation(method, path)
        if operation is None or status in (404, 405, 413):  # routes that are not there; refused before any route
            return
        where = f"{method} {path}"
        described = operation["responses"].get(str(status))
        assert described, f"{where}: nothing describes {status} (ottava/api/openapi): {body!r}"
        if "$ref" in described:
            described = self._document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
        content = described.get("content", {})
        if not content or method == "HEAD":
            assert not body, f"{where}: a body that nothing describes (ottava/api/openapi): {body!r}"
            return
        media = headers.get("content-type", "").partition(";")[0]
        assert media in content, f"{where}: nothing describes {media!r} (ottava/api/openapi)"
        if media == "application/json":
            validator = self._validator(msgspec.json.encode(content[media]["schema"]))
            found = [
                f"{each.instance_path}: {each.message}" for each in validator.iter_errors(msgspec.json.decode(body))
            ]
            assert not found, f"{where}: not as described (ottava/api/openapi): {found}"

    def _operation(self, method: str, path: str) -> Json | None:
        wanted = paths.canonical(paths.normal(path))
        item = next((item for pattern, item in self._paths if pattern.match(wanted)), {})
        found: Json | None = item.get(method.lower())
        return found

    def _compiled(self, schema: bytes) -> Any:
        whole = {**msgspec.json.decode(schema), "components": self._document["components"]}
        return jsonschema_rs.Draft202012Validator(whole)
