# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of values: what is taken, as what it is kept, and what is refused for which reason."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottava.model import errors, scalars
from ottava.model.attribute import Scalar, attributes
from ottava.model.graph import RESOURCES
from ottava.model.load_balancer import AdditionalVip
from ottava.model.pool import SessionPersistence

NAN, INF = float("nan"), float("inf")
ID = "8a9d1f6e-3f5c-4b64-9a06-6f1f4f3a7c11"
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.integers(10**300, 10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)

TAKEN: list[tuple[Scalar, object, object]] = [
    (scalars.TEXT_255, "", ""),
    (scalars.TEXT_255, "é" * 255, "é" * 255),
    (scalars.integer(), 8.5, 8),
    (scalars.integer(), "12", 12),
    (scalars.integer(), True, 1),
    (scalars.integer(), -(2**63), -(2**63)),
    (scalars.BOOLEAN, 7, True),
    (scalars.BOOLEAN, 0, False),
    (scalars.BOOLEAN, "on", True),
    (scalars.BOOLEAN, "f", False),
    (scalars.IDENTIFIER, ID.upper(), ID),
    (scalars.IDENTIFIER, ID.replace("-", ""), ID),
    (scalars.IP_ADDRESS, "2001:DB8::1", "2001:DB8::1"),
    (scalars.CIDR, "198.51.100.7/24", "198.51.100.0/24"),
    (scalars.CIDR, "198.51.100.7", "198.51.100.7/32"),
    (scalars.CIDR, "2001:db8::1", "2001:db8::1/128"),
    (scalars.URL, "https://www.example.org:8443/a?b=c#d", "https://www.example.org:8443/a?b=c#d"),
    (scalars.URL, "http://[2001:db8::1]/", "http://[2001:db8::1]/"),
    (scalars.PATH, "/a/b%20c?d=e#f", "/a/b%20c?d=e#f"),
    (scalars.DOMAIN_NAME, "_sip.example.org.", "_sip.example.org."),
    (scalars.one_of("A", "B"), "A", "A"),
    (scalars.one_of_numbers("float", 1.0, 1.1), "1.1", 1.1),
    (scalars.one_of_numbers("integer", 301), 301.0, 301),
    (scalars.TAGS, ["b", "a", "b"], ("b", "a")),
    (scalars.list_of(scalars.CIDR, unique=True), ["198.51.100.7/24", "198.51.100.0/24"], ("198.51.100.0/24",)),
    (scalars.mapping_of(scalars.TEXT_255), {"a": "true"}, {"a": "true"}),
]

REFUSED: list[tuple[Scalar, object, str]] = [
    (scalars.TEXT_255, 5, "Value should be string"),
    (scalars.TEXT_255, "x" * 256, "maximum character requirement of 255"),
    (scalars.TEXT_255, "a\x00b", "NUL"),
    (scalars.TEXT_255, "\ud800", "surrogates"),
    (scalars.string(9, 1), "", "minimum character requirement of 1"),
    (scalars.string(9, pattern=r"[a-z]*\Z"), "abc\n", "should match the pattern"),
    (scalars.integer(), NAN, "should be an integer"),
    (scalars.integer(), INF, "should be an integer"),
    (scalars.integer(), "many", "should be an integer"),
    (scalars.integer(), [1], "should be an integer"),
    (scalars.integer(), 2**63, "should be an integer"),
    (scalars.integer(), "9" * 5000, "should be an integer"),
    (scalars.integer(1), 0, "greater or equal to 1"),
    (scalars.integer(1, 5), 6, "lower or equal to 5"),
    (scalars.BOOLEAN, "Yes", "unambiguous boolean: Yes"),
    (scalars.BOOLEAN, 1.0, "unambiguous boolean"),
    (scalars.BOOLEAN, {}, "unambiguous boolean"),
    (scalars.IDENTIFIER, "x", "UUID format"),
    (scalars.IDENTIFIER, ID + "\n", "UUID format"),
    (scalars.IP_ADDRESS, "fe80::1%eth0", "IPv4 or IPv6 format"),
    (scalars.IP_ADDRESS, "198.51.100.1\n", "IPv4 or IPv6 format"),
    (scalars.IP_ADDRESS, 3323068417, "IPv4 or IPv6 format"),
    (scalars.CIDR, "198.51.100.0/33", "CIDR format"),
    (scalars.CIDR, "fe80::%eth0/64", "CIDR format"),
    (scalars.URL, "ftp://www.example.org/", "valid URL string"),
    (scalars.URL, "http://", "valid URL string"),
    (scalars.URL, "http://www.example.org/ x", "valid URL string"),
    (scalars.URL, "http://www.example.org/\n", "valid URL string"),
    (scalars.URL, "http://www.example.org:99999/", "valid URL string"),
    (scalars.URL, "http://www.example.org/é", "valid URL string"),
    (scalars.PATH, "a", "valid URL Path string"),
    (scalars.PATH, "//host/a", "valid URL Path string"),
    (scalars.PATH, "/a b", "valid URL Path string"),
    (scalars.PATH, "/a%2", "valid URL Path string"),
    (scalars.PATH, "/a\n", "valid URL Path string"),
    (scalars.DOMAIN_NAME, "a_b.com", "domain name"),
    (scalars.DOMAIN_NAME, "-a.com", "domain name"),
    (scalars.DOMAIN_NAME, "a..com", "domain name"),
    (scalars.DOMAIN_NAME, "a.com\n", "domain name"),
    (scalars.DOMAIN_NAME, "a" * 64 + ".com", "domain name"),
    (scalars.DOMAIN_NAME, ".".join(["a" * 63] * 4), "domain name"),
    (scalars.one_of("A", "B"), "a", "one of: A, B"),
    (scalars.one_of("A", "B"), ["A"], "one of: A, B"),
    (scalars.one_of_numbers("float", 1.0, 1.1), 1.2, "one of: 1.0, 1.1"),
    (scalars.one_of_numbers("float", 1.0, 1.1), True, "one of"),
    (scalars.one_of_numbers("integer", 301), 10**400, "one of"),
    (scalars.TAGS, "ab", "not a valid list"),
    (scalars.TAGS, [None], "should be string"),
    (scalars.mapping_of(scalars.TEXT_255), ["a"], "should be an object"),
    (scalars.mapping_of(scalars.TEXT_255), {"a": 1}, "should be string"),
    (scalars.mapping_of(scalars.TEXT_255), {"x" * 256: "a"}, "maximum character"),
]


@pytest.mark.parametrize(("scalar", "value", "kept"), TAKEN)
def test_taken(scalar: Scalar, value: object, kept: object) -> None:
    read = scalar.read(value)
    assert read == kept
    assert type(read) is type(kept)
    assert scalar.read(read) == read, "what is kept is taken again"


@pytest.mark.parametrize(("scalar", "value", "reason"), REFUSED)
def test_refused(scalar: Scalar, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        scalar.read(value)


EVERY = [(cls, name) for cls in (*RESOURCES.values(), SessionPersistence, AdditionalVip) for name in attributes(cls)]


@given(JSON.filter(lambda value: value is not None))
@settings(deadline=None)
def test_whatever_is_sent_is_kept_or_refused(value: object) -> None:
    """No value makes a scalar fail in another way than by ValueError or BadValue, and what it keeps it takes again."""
    for cls, name in EVERY:
        scalar = attributes(cls)[name].scalar
        try:
            kept = scalar.read(value)
        except (ValueError, errors.BadValue):
            continue
        assert scalar.read(kept) == kept, name


@given(st.text(max_size=40))
@settings(deadline=None)
def test_whatever_is_in_a_query_string_is_read_or_refused(text: str) -> None:
    for cls, name in EVERY:
        try:
            attributes(cls)[name].scalar.query(text)
        except ValueError:
            continue


def test_patterns_end_at_the_end() -> None:
    """A $ would also match before a trailing newline, which would then stand in a configuration."""
    source = (scalars.__file__,)
    for path in source:
        with open(path, encoding="utf-8") as file:
            patterns = re.findall(r're\.compile\(r"(.*)"\)', file.read())
        assert len(patterns) >= 4
        for pattern in patterns:
            assert pattern.endswith(r"\Z") or pattern.startswith("["), pattern
            assert not pattern.endswith("$")


@pytest.mark.parametrize(("cls", "name"), EVERY)
def test_no_text_but_names_and_descriptions_takes_a_line_break(cls: Any, name: str) -> None:
    """Everything else may come to stand in a configuration."""
    scalar = attributes(cls)[name].scalar
    free = {
        "name",
        "description",
        "project_id",
        "tags",
        "insert_headers",
        "fault",
        "provider",
        "availability_zone",
        "created_at",
        "updated_at",
    }
    for text in ("a\n", "/a\n", "http://a.org/\n", "198.51.100.1\n", "200\n", "a.org\n", "\r"):
        if name in free:
            continue
        try:
            kept = scalar.read(text)
        except ValueError:
            continue
        assert not isinstance(kept, str) or not re.search(r"[\r\n]", kept)
