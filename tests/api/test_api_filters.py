# SPDX-License-Identifier: Apache-2.0
"""Filters and sort keys: every attribute that an answer shows as a single value."""

from typing import Any
from urllib.parse import urlencode

import pytest
from support.world import World

from ottava.api import openapi
from ottava.api.app import routes
from ottava.model.attribute import attributes
from ottava.model.graph import RESOURCES


@pytest.fixture(scope="module")
def worlds(api: Any) -> tuple[World, World]:
    """Two trees."""
    return World(api), World(api)


def collection(world: World, kind: str) -> str:
    inside = {"member": f"pools/{world.ids['pool_id']}/", "rule": f"l7policies/{world.ids['l7policy_id']}/"}
    return inside.get(kind, "") + RESOURCES[kind].kind.plural


def listed(api: Any, path: str, query: str = "") -> list[dict[str, Any]]:
    result = api("GET", f"{path}?{query}")
    assert result.status_code == 200, result.text
    found: list[dict[str, Any]] = result.json[path.rsplit("/", 1)[-1]]
    return found


@pytest.mark.parametrize("kind", RESOURCES)
def test_what_an_answer_shows_finds_its_object_and_sorts_it(api: Any, worlds: tuple[World, World], kind: str) -> None:
    one, other = (world.ids[f"{RESOURCES[kind].kind.policy}_id"] for world in worlds)
    path = collection(worlds[0], kind)
    shown = api("GET", f"{path}/{one}").json[kind]
    used = 0
    for name, value in shown.items():
        if name not in attributes(RESOURCES[kind]) or isinstance(value, list | dict) or value is None:
            continue
        used += 1
        found = {each["id"]: each for each in listed(api, path, urlencode({name: value}))}
        assert one in found, name
        assert {each[name] for each in found.values()} == {value}, name
        ids = [each["id"] for each in listed(api, path, f"sort={name}:desc,id") if each["id"] in (one, other)]
        assert one in ids, name
    assert used >= 7
    assert other not in [each["id"] for each in listed(api, path, f"id={one}")]


@pytest.mark.parametrize("kind", RESOURCES)
def test_tags_find_objects_of_every_kind(api: Any, worlds: tuple[World, World], kind: str) -> None:
    one = worlds[0].ids[f"{RESOURCES[kind].kind.policy}_id"]
    path = collection(worlds[0], kind)
    assert api("PUT", f"{path}/{one}", {kind: {"tags": [f"a {kind}", f"b {kind}"]}}).status_code == 200
    assert [each["id"] for each in listed(api, path, urlencode({"tags": f"a {kind},b {kind}"}))] == [one]
    assert [each["id"] for each in listed(api, path, urlencode({"tags-any": f"a {kind},x"}))] == [one]
    assert one not in [each["id"] for each in listed(api, path, urlencode({"not-tags": f"a {kind}"}))]
    assert one not in [each["id"] for each in listed(api, path, urlencode({"not-tags-any": f"b {kind}"}))]


@pytest.mark.parametrize("kind", RESOURCES)
def test_fields_choose_each_part_of_an_answer(api: Any, worlds: tuple[World, World], kind: str) -> None:
    one = worlds[0].ids[f"{RESOURCES[kind].kind.policy}_id"]
    path = collection(worlds[0], kind)
    shown = api("GET", f"{path}/{one}").json[kind]
    for name, value in shown.items():
        assert api("GET", f"{path}/{one}?fields={name}").json == {kind: {name: value}}
        assert {name: value} in listed(api, path, f"fields={name}")


def test_the_document_names_the_filters_that_are_taken(api: Any, worlds: tuple[World, World]) -> None:
    paths: Any = openapi.document(routes(api.site))["paths"]
    for kind in RESOURCES:
        path = collection(worlds[0], kind)
        item = next(
            item for each, item in paths.items() if each.endswith(f"/{path.rsplit('/', 1)[-1]}") and "get" in item
        )
        named = {each["name"] for each in item["get"]["parameters"] if "name" in each}
        assert {"id", "project_id", "provisioning_status"} <= named
        for name in named:
            assert api("GET", f"{path}?{name}=1").status_code == 200, name
        assert api("GET", f"{path}?tenant_id=1").status_code == 400
