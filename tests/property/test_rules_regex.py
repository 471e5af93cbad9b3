# SPDX-License-Identifier: Apache-2.0
"""What regex.check takes, HAProxy takes too, and PCRE2 finds with it what Python finds."""

import ctypes
import ctypes.util
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ottava.model import errors
from ottava.rules.consistency import regex
from ottava.translate import ir
from ottava.translate.arguments import render

NO_AUTO_CAPTURE = 0x2000
"""As HAProxy compiles the expressions of ACLs."""
NO_MATCH = -1

PCRE2 = ctypes.CDLL(ctypes.util.find_library("pcre2-8") or "libpcre2-8.so.0")
PCRE2.pcre2_compile_8.restype = ctypes.c_void_p
PCRE2.pcre2_compile_8.argtypes = [
    ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_size_t),
    ctypes.c_void_p,
]  # fmt: skip
PCRE2.pcre2_match_data_create_from_pattern_8.restype = ctypes.c_void_p
PCRE2.pcre2_match_data_create_from_pattern_8.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
PCRE2.pcre2_match_8.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p,
    ctypes.c_void_p,
]  # fmt: skip
PCRE2.pcre2_match_data_free_8.argtypes = [ctypes.c_void_p]
PCRE2.pcre2_code_free_8.argtypes = [ctypes.c_void_p]


@contextmanager
def compiled(expression: str) -> Iterator[int | None]:
    """The expression as PCRE2 has it; None if it is refused."""
    error, place, raw = ctypes.c_int(), ctypes.c_size_t(), expression.encode()
    code = PCRE2.pcre2_compile_8(raw, len(raw), NO_AUTO_CAPTURE, ctypes.byref(error), ctypes.byref(place), None)
    try:
        yield code
    finally:
        if code:
            PCRE2.pcre2_code_free_8(code)


def found_by_pcre2(code: int, subject: str) -> bool | None:
    """Whether it matches somewhere; None if PCRE2 gave up."""
    raw, data = subject.encode(), PCRE2.pcre2_match_data_create_from_pattern_8(code, None)
    try:
        answer = PCRE2.pcre2_match_8(code, raw, len(raw), 0, 0, data, None)
    finally:
        PCRE2.pcre2_match_data_free_8(data)
    return answer > 0 if answer > 0 or answer == NO_MATCH else None


def taken(expression: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            regex.check(expression)
        except errors.BadRule:
            return False
    return True


ATOMS = st.sampled_from(
    (
        "a", "b", "/", ".", "^", "$", r"\d", r"\W", r"\s", r"\b", r"\.", r"\\", r"\x41", r"\101", r"\Z", r"\A", r"\v",
        r"\u0041", r"\N{DIGIT ONE}", r"\1", "[ab]", "[^ab]", "[]a]", "[^]a]", "[a-c]", "[[:alpha:]]", "[:digit:]",
        "[.]", "[..]", "[.a.]", "[=]", "[a[.b.]]", r"[\w-]", r"[\]a]", r"[\u0041]", "[[a]", "{", "}", "{a}", "#", " ",
        "(?i)", "(?#note)", "(?P=n)", "]", "-", "é",
    )
)  # fmt: skip
REPEATS = st.sampled_from(
    ("*", "+", "?", "*?", "++", "?+", "{2}", "{0,3}", "{1,}", "{,2}", "{ 2}", "{2, 3}", "{,}", "{}", "{99}", "{70000}")
)
GROUPS = st.sampled_from(
    ("(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P<n>", "(?i:", "(?-i:", "(?s-m:", "(?a:", "(?x:", "(?(1)")
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(inner, REPEATS).map("".join),
        st.tuples(inner, st.just("|"), inner).map("".join),
        st.tuples(GROUPS, inner, st.just(")")).map("".join),
    )


MADE = st.recursive(ATOMS, larger, max_leaves=12)
NOISE = st.text("ab01[](){}?*+|\\^$.:=P<>!,-#imsx&R'_ \té", max_size=24)
EXPRESSIONS = st.one_of(MADE, NOISE)
SUBJECTS = st.text("abcAB01/.-]{}[:= #x", max_size=8)


@given(EXPRESSIONS)
@settings(max_examples=400, deadline=None)
@example("(a)\\1")
@example("(?P<name_of_a_group_longer_than_32_characters>a)")
@example("((((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9})")
@example("(((a{0,60}b){0,60}c){0,60}d)")
@example("(" * 127 + ")" * 127)
@example("[[:foo:]]")
@example("(?R)")
@example("(?<=(?<=a)*)")
@example("(?<=(?:)*)")
@example("(?<=a{2})")
@example("(?<=a{65535}b)c")
@example("(*LIMIT_MATCH=1)a")
@example("\\Qa\\E")
def test_what_is_taken_compiles(expression: str) -> None:
    if taken(expression):
        with compiled(expression) as code:
            assert code


@given(MADE, st.lists(SUBJECTS, max_size=8))
@settings(max_examples=200, deadline=None)
@example("a{,2}b", ["ab", "a{,2}b"])
@example("[[:alpha:]]", ["a", ":]"])
def test_what_is_taken_means_the_same(expression: str, subjects: list[str]) -> None:
    # Python 3.11 itself is known to err in possessive and atomic parts: what they mean is PCRE2's to say.
    assume(taken(expression) and not re.search(r"\(\?>|[*+?}]\+|\(\?P=", expression))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        pattern = re.compile(expression)
    with compiled(expression) as code:
        assert code
        for subject in subjects:
            answer = found_by_pcre2(code, subject)
            assert answer is None or answer == bool(pattern.search(subject)), subject


@given(st.lists(MADE, min_size=40, max_size=40))
@settings(max_examples=8, deadline=None)
def test_what_is_taken_stands_in_a_configuration(tmp_path_factory: pytest.TempPathFactory, many: list[str]) -> None:
    good = [expression for expression in many if taken(expression)]
    lines = [f"  acl rule-{number} path -m reg -- {render(ir.Regex(text))}" for number, text in enumerate(good)]
    times = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
    path = tmp_path_factory.mktemp("regex") / "haproxy.cfg"
    path.write_text("\n".join((times, f"frontend f\n  bind unix@{Path('/run/never.sock')}", *lines, "")))
    ran = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "expression",
    [
        "^/api/v[0-9]+/", r"\.(?:png|jpe?g)\Z", r"^(?:www\.)?example\.(com|org)$", "(?i)mobile|android", "^[^/]+$",
        r"sid=[0-9a-f]{32}", r"^/(?!admin)\w+", r"^/([a-z]+/)+$", "/{id}/", "(?P<a>x)(?P=a)", "a b\tc", "[.]", "[:]",
        "x{0,65535}", "(?s:.)(?m:^)", "(?<=a{2})b+",
    ],
)  # fmt: skip
def test_what_people_write_is_taken(expression: str) -> None:
    assert taken(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(", "not a regular expression"), ("a**", "not a regular expression"), ("a{99999999999}", "too large"),
        ("é", "printable ASCII"), ("a\nb", "printable ASCII"), ("a\x00", "printable ASCII"),
        (r"(a)\1", "name the group"), (r"\u0041", "not known to HAProxy"), (r"[\U00000041]", "not known to HAProxy"),
        ("[[:alpha:]]", "POSIX"), ("[:alpha:]", "POSIX"), ("[..]", "POSIX"), ("a{,3}", "write {0,n}"),
        ("a{ 3 }", "write {0,n}"), ("a{65536}", "more than 65535"), ("(a{9}){65535}", "too large"),
        ("(?a)x", "flag"), ("(?x: a)", "flag"), ("(a)(?(1)b|c)", "conditional"),
        ("(?<=(?:)*)a", "look behind"), ("(?<!(?=a)?)a", "look behind"),
        ("(?P<abcdefghijklmnopqrstuvwxyz0123456>a)", "32 characters"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_with_a_reason(expression: str, reason: str) -> None:
    with pytest.raises(errors.BadRule) as caught:
        regex.check(expression)
    assert reason in str(caught.value.facts["reason"])
