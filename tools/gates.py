# SPDX-License-Identifier: Apache-2.0
"""Gates of `make check` that no library has: sizes, the SPDX line, patterns that end in `$`, patched-over parts."""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULE_LINES = 400
FUNCTION_LINES = 50
SPDX = "# SPDX-License-Identifier: Apache-2.0"
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def complaints(name: str, text: str) -> Iterator[str]:
    """What is wrong with the Python file `name`, relative to the root: a sentence each."""
    yield from spdx(name, text)
    tree = ast.parse(text)
    lines = code_lines(text, tree)
    if name.startswith("src/"):
        yield from sizes(name, tree, lines)
    yield from patterns(name, tree)
    yield from patches(name, tree)


def spdx(name: str, text: str) -> Iterator[str]:
    """The first line, or the second after `#!`, says the licence."""
    if SPDX not in text.split("\n", 2)[:2]:
        yield f"{name}:1: does not start with {SPDX!r}"


def code_lines(text: str, tree: ast.AST) -> set[int]:
    """Numbers of the lines that hold code: no blanks, comments or docstrings."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SILENT:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def sizes(name: str, tree: ast.AST, lines: set[int]) -> Iterator[str]:
    """Modules and functions that are too long."""
    if len(lines) > MODULE_LINES:
        yield f"{name}:1: {len(lines)} code lines, more than {MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            if length > FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} code lines, more than {FUNCTION_LINES}"


def patterns(name: str, tree: ast.AST) -> Iterator[str]:
    r"""`$` also matches before a trailing newline: patterns end in `\Z`. In MULTILINE ones it is meant."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or "MULTILINE" in ast.unparse(node):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg in {"pattern", "regex"}]
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
        ):
            given += node.args[:1]
        for value in given:
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and _dollar(part.value):
                    yield f"{name}:{part.lineno}: a pattern with $ at an end; use \\Z"


def patches(name: str, tree: ast.AST) -> Iterator[str]:
    """Parts that are patched over prove nothing; there are in-memory ones that pass the contract tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and (node.value.id, node.attr) == ("monkeypatch", "setattr"):
                yield f"{name}:{node.lineno}: monkeypatch.setattr is banned"
            if node.attr == "patch" and "mock" in ast.unparse(node.value):
                yield f"{name}:{node.lineno}: mock.patch is banned"
        elif isinstance(node, ast.ImportFrom) and node.module == "unittest.mock":
            yield f"{name}:{node.lineno}: unittest.mock is banned"


def _dollar(pattern: str) -> bool:
    plain = pattern.replace("\\\\", "").replace("\\$", "")
    return plain.endswith("$") or "$|" in plain or "$)" in plain


def main() -> int:
    """Check all files; 1 if there is anything to say."""
    found: list[str] = []
    for top in ("src", "tests", "tools", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            found += complaints(str(path.relative_to(ROOT)), path.read_text())
    for script in ("Makefile", "tools/setup", ".ci/run"):
        found += spdx(script, (ROOT / script).read_text())
    print("\n".join(found) or "All gates pass.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
