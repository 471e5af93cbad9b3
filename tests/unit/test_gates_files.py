# SPDX-License-Identifier: Apache-2.0
"""The gates of `make check` see what they are there for."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("gates", Path(__file__).parents[2] / "tools" / "gates.py")
assert _SPEC
assert _SPEC.loader
gates = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(gates)

HEAD = "# SPDX-License-Identifier: Apache-2.0\n"
GOOD = HEAD + '"""What it is for."""\n\nimport re\n\nWORD = re.compile(r"\\A\\w+\\$?\\Z")\n'
BODY = "".join(f"    x = {number}\n" for number in range(51))


def test_a_good_file_passes() -> None:
    assert list(gates.complaints("src/ottava/good.py", GOOD)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "does not start with"),
        (HEAD + "x = 1\n" * 401, "401 code lines"),
        (HEAD + "def long() -> None:\n" + BODY, "long has 52 code lines"),
        (HEAD + 'import re\nre.compile(r"^a$")\n', "a pattern with $"),
        (HEAD + 'import re\nre.match("(a$|b)", "a")\n', "a pattern with $"),
        (HEAD + 'import msgspec\nmsgspec.Meta(pattern="^a$")\n', "a pattern with $"),
        (HEAD + "from unittest import mock\nmock.patch('x')\n", "mock.patch is banned"),
        (HEAD + "from unittest.mock import patch\n", "unittest.mock is banned"),
        (HEAD + "def test(monkeypatch):\n    monkeypatch.setattr(x, 'y', 1)\n", "monkeypatch.setattr is banned"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(text: str, words: str) -> None:
    found = list(gates.complaints("src/ottava/bad.py", text))
    assert len(found) == 1
    assert found[0].startswith("src/ottava/bad.py:")
    assert words in found[0]


def test_blanks_comments_and_docstrings_are_not_counted() -> None:
    text = HEAD + '"""' + "words\n" * 500 + '"""\n' + "# why\n\n" * 300 + "x = 1\n"
    assert list(gates.complaints("src/ottava/long.py", text)) == []
