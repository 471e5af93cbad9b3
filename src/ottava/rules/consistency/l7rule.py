# SPDX-License-Identifier: Apache-2.0
"""What must hold of an L7 rule: which comparisons a type has, and which characters can ever match."""

import re
from collections.abc import Mapping

import msgspec

from ottava.model import errors
from ottava.model.graph import LoadBalancerGraph
from ottava.model.l7 import RULES_PER_POLICY, L7Policy, L7Rule
from ottava.rules.consistency import regex
from ottava.rules.consistency.surroundings import others, referred

KEYED = ("HEADER", "COOKIE", "SSL_DN_FIELD")
"""Types that look at one of many, named by the key."""
KEYLESS = ("SSL_CONN_HAS_CERT", "SSL_VERIFY_RESULT")
"""Types that refuse a key; the others ignore one."""

COMPARISONS = {
    "FILE_TYPE": ("REGEX", "EQUAL_TO"),
    "SSL_CONN_HAS_CERT": ("EQUAL_TO",),
    "SSL_VERIFY_RESULT": ("EQUAL_TO",),
}
"""Types that cannot be compared in every way."""

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")
HEADER_VALUE = re.compile(r'(?:[\x21-\x7e]+|"[\x20-\x7e\t]*")\Z')
DN_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9\-]*\Z")
NUMBER = re.compile(r"[0-9]+\Z")
COOKIE_VALUE = re.compile(r"[\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]+\Z")


def merge(old: L7Rule, changes: Mapping[str, object]) -> L7Rule:
    """An update drops a key that means nothing."""
    merged = msgspec.structs.replace(old, **changes)
    return merged if merged.type in (*KEYED, *KEYLESS) else msgspec.structs.replace(merged, key=None)


def check(graph: LoadBalancerGraph, rule: L7Rule) -> None:
    """It can be compared, and its policy has room for it."""
    referred(graph.l7policies, L7Policy, rule.l7policy_id)
    comparisons = COMPARISONS.get(rule.type)
    if comparisons and rule.compare_type not in comparisons:
        raise errors.BadRule(
            reason=f"{rule.compare_type} is not a compare type of {rule.type}: {' and '.join(comparisons)} can be used"
        )
    _check_key(rule)
    if rule.compare_type == "REGEX":
        regex.check(rule.value)
    else:
        _check_value(rule)
    siblings = sum(other.l7policy_id == rule.l7policy_id for other in others(graph.rules, rule))
    if siblings >= RULES_PER_POLICY:
        raise errors.TooMany(id=rule.l7policy_id)


def _check_key(rule: L7Rule) -> None:
    if rule.type in KEYLESS and rule.key is not None:
        raise errors.BadRule(reason=f"{rule.type} takes no key")
    if rule.type in KEYED:
        pattern, meaning = (DN_FIELD, "field of a name") if rule.type == "SSL_DN_FIELD" else (TOKEN, "token")
        if not pattern.match(rule.key or ""):
            raise errors.BadRule(reason=f"{rule.type} needs a key that is a {meaning}, and {rule.key!r} is none")


def _check_value(rule: L7Rule) -> None:
    if rule.type == "SSL_CONN_HAS_CERT":
        if rule.value.lower() != "true":
            raise errors.BadRule(reason="the value of SSL_CONN_HAS_CERT is true; invert the rule for the opposite")
    elif rule.type == "SSL_VERIFY_RESULT":
        if not NUMBER.match(rule.value):
            raise errors.BadRule(reason="the value of SSL_VERIFY_RESULT is a number")
    elif rule.type == "COOKIE":
        if not COOKIE_VALUE.match(rule.value):
            raise errors.BadRule(
                reason="a cookie's value is printable ASCII without spaces, double quotes, semicolons and backslashes"
            )
    elif rule.type != "SSL_DN_FIELD" and not HEADER_VALUE.match(rule.value):
        raise errors.BadRule(reason="the value must be printable ASCII without spaces, or stand in double quotes")
