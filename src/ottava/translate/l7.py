# SPDX-License-Identifier: Apache-2.0
"""L7 rules as tests of a request."""

import re

from ottava.model.l7 import L7Rule
from ottava.translate.ir import AclString, Matcher, Regex, Sample, Test

METHODS = {"EQUAL_TO": "str", "STARTS_WITH": "beg", "ENDS_WITH": "end", "CONTAINS": "sub", "REGEX": "reg"}


def test(rule: L7Rule) -> Test:
    """The test that `rule` makes. Raises ValueError if it lacks its key."""
    value = _value(rule)
    if rule.type == "COOKIE" and rule.compare_type != "REGEX" and ("," in value or _key(rule).startswith("$")):
        return Test(rule.id, (_cookie_header(rule),), rule.invert)
    samples = _samples(rule, value)
    return Test(rule.id, tuple(_matcher(rule, sample, value) for sample in samples), rule.invert)


def _value(rule: L7Rule) -> str:
    """What is compared: a pair of double quotes around a value stands for itself being one (it may then hold
    blanks), except in cookies, which cannot be quoted."""
    value = rule.value
    if rule.type != "COOKIE" and len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def _samples(rule: L7Rule, value: str) -> tuple[Sample, ...]:
    match rule.type:
        case "HOST_NAME":
            # A client names the port in the Host header where it is not the usual one.
            return Sample("req.hdr", "host"), Sample("req.hdr", "host", ("host_only",))
        case "PATH" | "FILE_TYPE":
            return (Sample("path"),)
        case "COOKIE":
            return (Sample("req.cook", _key(rule)),)
        case "HEADER" if rule.compare_type == "REGEX":
            return Sample("req.fhdr", _key(rule)), Sample("req.hdr", _key(rule))
        case "HEADER":
            # req.hdr looks at each element of a list, and so can never match a comma.
            return (Sample("req.fhdr" if "," in value else "req.hdr", _key(rule)),)
    raise ValueError(f"L7 rule {rule.id}: type {rule.type} is unknown")


def _cookie_header(rule: L7Rule) -> Matcher:
    """The cookie looked for in the header itself: req.cook ends a value at a comma, and sees no cookie
    whose name begins with "$"."""
    before = r"[^;]*" if rule.compare_type in ("ENDS_WITH", "CONTAINS") else ""
    after = r"[ \t]*(?:;|$)" if rule.compare_type in ("ENDS_WITH", "EQUAL_TO") else ""
    pattern = rf"(?:^|;)[ \t]*{re.escape(_key(rule))}={before}{re.escape(rule.value)}{after}"
    return Matcher(Sample("req.fhdr", "cookie"), "reg", Regex(pattern))


def _key(rule: L7Rule) -> str:
    if not rule.key:
        raise ValueError(f"L7 rule {rule.id}: {rule.type} lacks its key")
    return rule.key


def _matcher(rule: L7Rule, sample: Sample, value: str) -> Matcher:
    method = METHODS[rule.compare_type]
    if rule.type == "FILE_TYPE" and method == "str":
        method = "end"
    ignore_case = rule.type == "HOST_NAME"
    if not value:
        # An empty pattern would end the line.
        return Matcher(sample, "reg", Regex("^$" if method == "str" else "^"), ignore_case)
    pattern = Regex(value) if method == "reg" else AclString(value)
    return Matcher(sample, method, pattern, ignore_case)
