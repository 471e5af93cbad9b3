# SPDX-License-Identifier: Apache-2.0
"""The description for machines says what the API does: by itself, and by requests that schemathesis makes of it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks
from support.fuzz import TIMES, examples
from support.world import World

from ottava import policies
from ottava.api import paths
from ottava.api.app import routes
from ottava.model.attribute import attributes
from ottava.model.graph import RESOURCES

Json = dict[str, Any]


@pytest.fixture(scope="module")
def database_kind() -> str:
    """One is enough: what is described is the same on each."""
    return "sqlite"


@pytest.fixture(scope="module")
def document(api: Any) -> Json:
    """As it is served."""
    return dict(api("GET", "/openapi.json").json)


def test_it_is_valid(document: Json) -> None:
    validate(document)


def test_every_route_and_method_is_described(api: Any, document: Json) -> None:
    described = set()
    for path, item in document["paths"].items():
        described |= {(path, method.upper()) for method in set(item) - {"parameters"}}
        names = re.findall(r"\{(\w+)\}", path)
        assert [each["name"] for each in item.get("parameters", ())] == names
    for path, handler in routes(api.site).items():
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
            assert ((paths.canonical(path), method) in described) == hasattr(handler, f"on_{method.lower()}"), (
                path,
                method,
            )


def test_every_policy_rule_of_a_route_is_named(document: Json) -> None:
    named = {
        (rule, method.upper(), path)
        for path, item in document["paths"].items()
        for method in set(item) - {"parameters"}
        for rule in re.findall(r"`(.*?)`", item[method].get("description", ""))
    }
    for rule in policies.list_rules():
        for operation in getattr(rule, "operations", None) or ():
            if operation["path"] in document["paths"]:
                assert (rule.name, operation["method"], operation["path"]) in named


def test_schemas_are_the_declarations(document: Json) -> None:
    schemas = document["components"]["schemas"]
    for cls in RESOURCES.values():
        declared = {name for name, each in attributes(cls).items() if each.update}
        assert set(schemas[f"{cls.kind.name}Update"]["properties"]) == declared
    assert "listener_id" in schemas["poolCreate"]["properties"]
    assert schemas["listenerInside"]["properties"]["l7policies"]["items"] == {
        "$ref": "#/components/schemas/l7policyInside"
    }
    assert schemas["listenerCreate"]["required"] == ["loadbalancer_id", "protocol", "protocol_port"]
    assert schemas["memberCreate"]["properties"]["backup"]["type"] == "boolean"  # a null is refused
    assert schemas["memberUpdate"]["properties"]["backup"]["type"] == ["boolean", "null"]


CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
BOUNDED = settings(
    deadline=None,
    database=None,
    derandomize=TIMES == 1,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def identifiers(world: World) -> st.SearchStrategy[str]:
    """Ids that are there, and ids that are not."""
    names = [name for name in world.ids if name not in ("project_id", "provider")]
    return st.one_of(st.sampled_from(names).map(lambda name: world.ids[name]), st.uuids(version=4).map(str))


@pytest.fixture(scope="module")
def world(api: Any) -> Iterator[World]:
    """A tree; schemathesis takes the ids of bodies and query strings from it."""
    found = World(api)
    schemathesis.openapi.format("uuid", identifiers(found))
    yield found
    schemathesis.openapi.format("uuid", st.uuids(version=4).map(str))


def checked(world: World, case: Any) -> int:
    """Send it: no defect, nothing that is not described."""
    response = case.call()
    assert response.status_code < 500 or response.status_code == 501, (case.as_curl_command(), response.text)
    case.validate_response(response, checks=CHECKS)
    return int(response.status_code)


def requests_of(schema: Any, mode: GenerationMode, most: int, send: Callable[[Any, bool], None]) -> list[str]:
    """Make requests for every operation; what went wrong, in words."""
    wrong = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
            continue  # any id may stand in a path: there is nothing to be wrong

        @settings(BOUNDED, max_examples=most)
        @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
        def run(case: Any, there: bool) -> None:
            send(case, there)

        try:
            run()
        except (Exception, ExceptionGroup) as error:
            wrong.append(f"{operation.label}: {error}")
    return wrong


def test_every_id_in_a_path_is_known(world: World, document: Json) -> None:
    names = {name for path in document["paths"] for name in re.findall(r"\{(\w+)\}", path)}
    assert names - set(world.ids) == {"amphora_id"}


@pytest.mark.parametrize(("mode", "most"), [(GenerationMode.POSITIVE, 15), (GenerationMode.NEGATIVE, 10)])
def test_every_operation_answers_as_described(api: Any, world: World, mode: GenerationMode, most: int) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", api.app)

    def send(case: Any, there: bool) -> None:
        if there:
            known = {name: world.ids[name] for name in case.path_parameters or {} if name in world.ids}
            case.path_parameters = {**(case.path_parameters or {}), **known}
        status = checked(world, case)
        if case.method == "DELETE" and status < 300:
            world.renew()

    wrong = requests_of(schema, mode, examples(most), send)
    assert not wrong, "\n\n".join(wrong)


def test_links_lead_from_what_was_created_to_what_can_be_done_with_it(api: Any, world: World) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", api.app)

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            assert response.status_code < 500 or response.status_code == 501, response.text
            case.validate_response(response, checks=CHECKS)

    Machine.run(settings=settings(BOUNDED, max_examples=examples(10), stateful_step_count=8))
