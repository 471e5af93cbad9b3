# SPDX-License-Identifier: Apache-2.0
"""The description for machines says what the API does."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ottava.api.openapi import document
from ottava.model.attribute import attributes
from ottava.model.graph import RESOURCES


@pytest.fixture(scope="module")
def database_kind() -> str:
    """One is enough: it describes, it does not store."""
    return "sqlite"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from (each,) if key == "$ref" else references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_references_lead_somewhere() -> None:
    found = document()
    for reference in references(found):
        assert reference.removeprefix("#/components/schemas/") in found["components"]["schemas"]  # type: ignore[index,operator]


def test_every_operation_is_there(api: Any) -> None:
    paths: dict[str, Any] = document()["paths"]  # type: ignore[assignment]
    assert len(paths) >= 18
    for path, item in paths.items():
        for method in set(item) - {"parameters"}:
            result = api(method.upper(), re.sub(r"\{\w+\}", "x", path), {})
            assert "faultstring" in result.text or result.status_code == 200 or "not found." in result.text, (
                method,
                path,
            )


def test_schemas_name_what_answers_hold(api: Any) -> None:
    schemas: dict[str, Any] = document()["components"]["schemas"]  # type: ignore[index]
    lb = api.make("loadbalancers", listeners=[{"protocol": "HTTP", "protocol_port": 80}])
    shown = api("GET", f"loadbalancers/{lb['id']}").json["loadbalancer"]
    assert set(shown) - {"tenant_id"} <= set(schemas["loadbalancer"]["properties"])
    for cls in RESOURCES.values():
        declared = {name for name, each in attributes(cls).items() if each.update}
        assert set(schemas[f"{cls.kind.name}Update"]["properties"]) == declared
    assert "listener_id" in schemas["poolCreate"]["properties"]
    assert schemas["listenerInside"]["properties"]["l7policies"]["type"] == "array"
    assert "$ref" in schemas["listenerInside"]["properties"]["default_pool"]
    assert schemas["listenerCreate"]["required"] == ["loadbalancer_id", "protocol", "protocol_port"]
