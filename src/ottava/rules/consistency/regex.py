# SPDX-License-Identifier: Apache-2.0
"""Regular expressions: written for Python's dialect, as the API has it, and executed by HAProxy's, PCRE2.

Only what both read the same way is taken; the rest would be refused by HAProxy, or match something else there.
How long an expression runs on a hostile request is not judged here: PCRE2 bounds it, and the proxy is the tenant's own.
"""

import re
from typing import NoReturn

from ottava.model import errors

LARGEST = 30000
"""Bytes that an expression may take when compiled, by a generous estimate; PCRE2 refuses more than 65535."""

MOST_REPEATS = 65535
MOST_REPEATS_BEHIND = 255
LONGEST_NAME = 32
FLAGS = frozenset("ims-")

PRINTABLE = re.compile(r"[\x20-\x7e\t]*\Z")
ESCAPE = re.compile(r"\\(.)")
REPEAT = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
TOKEN = re.compile(
    r"""
      (?P<escape> \\. )
    | (?P<set> \[\^?\]?(?:\\.|[^\]\\])*\] )
    | (?P<apart> \(\?\#[^)]*\) | \(\?P=\w+\) )
    | (?P<flags> \(\?[a-zA-Z-]+[:)] )
    | (?P<test> \(\?\( )
    | (?P<open> \( (?:\?(?:P<\w+>|<?[=!]|[:>]))? )
    | (?P<close> \) )
    | (?P<repeat> [*+?] | \{[\ \t]*[0-9]*[\ \t]*,?[\ \t]*[0-9]*[\ \t]*\} )
    | (?P<char> . )
    """,
    re.VERBOSE,
)
"""The words of an expression that Python compiles."""


def check(expression: str) -> None:
    """Raises BadRule, with what is wrong in words, unless HAProxy takes the expression and means the same by it."""
    if not PRINTABLE.match(expression):
        _refuse("HAProxy compares bytes: a regular expression must be printable ASCII")
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        _refuse(f"not a regular expression: {error}")
    if _size(expression) > LARGEST:
        _refuse("the repeated groups make the regular expression too large")


def _refuse(reason: str) -> NoReturn:
    raise errors.BadRule(reason=reason)


def _size(expression: str) -> int:
    """An upper estimate, in bytes, of the compiled expression. Raises BadRule for what only Python knows."""
    # One list for each group that is open; in it (size, whether a repetition copies it) of each item.
    groups: list[list[tuple[int, bool]]] = [[]]
    opened: list[str] = []
    for token in TOKEN.finditer(expression):
        kind, text = str(token.lastgroup), token.group()
        _CHECKS.get(kind, _fine)(text)
        if kind == "open" or (kind == "flags" and text.endswith(":")):
            groups.append([])
            opened.append(text)
        elif kind == "close":
            inner = sum(size for size, _ in groups.pop())
            groups[-1].append((inner + 16, True))
            opened.pop()
        elif kind == "repeat" and groups[-1]:
            size, copied = groups[-1].pop()
            if any(each in ("(?<=", "(?<!") for each in opened):
                _check_behind(text, copied)
            groups[-1].append((size * _copies(text) + 16 if copied else size + 16, copied))
        else:
            groups[-1].append((40 if kind == "set" else 4, False))
    return sum(size for size, _ in groups[0])


def _fine(text: str) -> None:
    pass


def _check_escape(text: str) -> None:
    if text[1] in "uUN":
        _refuse(f"{text} is not known to HAProxy")
    if text[1] in "123456789":
        # HAProxy compiles expressions so that parentheses without a name do not capture.
        _refuse(f"{text} refers to a group by its number: name the group and write (?P=name)")


def _check_set(text: str) -> None:
    for escaped in ESCAPE.findall(text):
        if escaped in "uUN":
            _refuse(f"\\{escaped} is not known to HAProxy")
    inner = ESCAPE.sub("_", text[1:-1])
    if any(f"[{mark}" in inner or (len(inner) > 1 and inner[0] == inner[-1] == mark) for mark in ":.="):
        _refuse(f"{text} is a POSIX class to HAProxy and none to Python")


def _check_flags(text: str) -> None:
    if not FLAGS.issuperset(text[2:-1]):
        _refuse(f"{text} sets a flag that only Python knows: i, m and s are common")


def _check_test(text: str) -> None:
    _refuse("conditional groups are not taken")


def _check_open(text: str) -> None:
    if len(text) > LONGEST_NAME + len("(?P<>"):
        _refuse(f"the name of a group has at most {LONGEST_NAME} characters")


def _check_repeat(text: str) -> None:
    if text.startswith("{"):
        plain = REPEAT.fullmatch(text)
        if not plain and re.search("[0-9,]", text):
            _refuse(f"{text} is a repetition to one dialect and text to another: write {{0,n}}, or escape the brace")
        if plain and _copies(text) > MOST_REPEATS:
            _refuse(f"{text} repeats more than {MOST_REPEATS} times")


def _check_behind(text: str, group: bool) -> None:
    # Python measures what is repeated, and takes what is empty; PCRE2 takes no repetition of an unknown number, and
    # looks back 65535 characters at most, which repeated single characters cannot reach in 255 of them.
    if group or not text[1:-1].isdigit() or int(text[1:-1]) > MOST_REPEATS_BEHIND:
        _refuse(
            f"{text} within a look behind: only {{n}} repeats there, one character, {MOST_REPEATS_BEHIND} times at most"
        )


def _copies(text: str) -> int:
    plain = REPEAT.fullmatch(text)
    return max(1, int(plain[1]), int(plain[3] or 0)) if plain else 1


_CHECKS = {
    "escape": _check_escape,
    "set": _check_set,
    "flags": _check_flags,
    "test": _check_test,
    "open": _check_open,
    "repeat": _check_repeat,
}
