# SPDX-License-Identifier: Apache-2.0
"""The scenarios of scenarios.yaml and attributes.yaml: requests, and what their answers must be."""

import re
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

Scenarios = dict[str, list[dict[str, Any]]]


def written(name: str) -> Scenarios:
    """The scenarios in a file."""
    return dict(yaml.safe_load((Path(__file__).parent / name).read_text()))


SCENARIOS = written("scenarios.yaml")
ATTRIBUTES = written("attributes.yaml")
VERBS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
ABSENT = object()


def filled(value: Any, variables: dict[str, str]) -> Any:
    """`value` with each $name in its texts replaced."""
    if isinstance(value, str):
        return re.sub(r"\$(\w+)", lambda found: variables[found[1]], value)
    if isinstance(value, dict):
        return {key: filled(each, variables) for key, each in value.items()}
    return [filled(each, variables) for each in value] if isinstance(value, list) else value


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path, ABSENT if nothing does."""
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return ABSENT
    return value


def run(api: Any, step: dict[str, Any], variables: dict[str, str]) -> None:
    """One step."""
    step = filled(step, variables)
    if "settle" in step:
        api.settle(step["settle"])
        return
    verb = next(verb for verb in VERBS if verb in step)
    before = api.everything() if verb != "GET" else {}
    body = step["raw"].encode("utf-8", "surrogatepass") if "raw" in step else step.get("body")
    result = api(verb, step[verb], body, headers=step.get("headers", {}))
    assert result.status_code == step["status"], f"{verb} {step[verb]}: {result.status_code} {result.text}"
    assert result.headers["x-openstack-request-id"].startswith("req-")
    answer = msgspec.json.decode(result.content) if result.content else {}
    if "fault" in step:
        assert step["fault"] in (answer.get("faultstring") or answer.get("description")), result.text
    if result.status_code >= 400:
        assert not before or api.everything() == before, "a refusal changed something"
    for path, value in step.get("has", {}).items():
        assert at(answer, path) == value, f"{verb} {step[verb]}: {path} is {at(answer, path)}"
    for path in step.get("lacks", ()):
        assert at(answer, path) is ABSENT, f"{verb} {step[verb]}: {path} is there"
    for name, path in step.get("save", {}).items():
        variables[name] = at(answer, path)


def carry_out(api: Any, steps: list[dict[str, Any]]) -> None:
    """All steps of a scenario."""
    variables = {
        "subnet": api.subnet_id,
        "subnet6": api.subnet6_id,
        "other": api.other_subnet_id,
        "network": api.network_id,
        "missing": str(uuid.uuid4()),
    }
    for step in steps:
        run(api, step, variables)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(api: Any, name: str) -> None:
    carry_out(api, SCENARIOS[name])


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes(accepting: Any, name: str) -> None:
    carry_out(accepting, ATTRIBUTES[name])
