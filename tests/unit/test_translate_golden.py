# SPDX-License-Identifier: Apache-2.0
"""Whole configurations, to be read by people. `UPDATE_GOLDEN=1 pytest tests/unit/test_translate_golden.py` rewrites them."""

import os
from pathlib import Path

import msgspec
import pytest

from ottava.model.graph import LoadBalancerGraph
from ottava.translate.desired import desired
from ottava.wire.heartbeat import Facts

GOLDEN = Path(__file__).parent.parent / "golden" / "translate"


@pytest.mark.parametrize("name", ["http", "tcp"])
def test_the_configuration_is_as_written_down(name):
    graph = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes(), type=LoadBalancerGraph)
    wish = desired(graph, "amphora", Facts(nofile=20000, cpus=2), (), 1)
    found = wish.proxy.text + "".join(f"# {msgspec.json.encode(each).decode()}\n" for each in wish.probes)
    expected = GOLDEN / f"{name}.cfg"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(found)
    assert found == expected.read_text()
