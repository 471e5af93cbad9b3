# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of values: every kind of value that an attribute may have.

The leniency (numbers in strings, booleans in words) is the contract's, not a convenience. The
reasons raised are the contract's words; api/errors.py sets them in a sentence.
"""

import ipaddress
import math
import re
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from ottava.model import errors
from ottava.model.attribute import Attribute, Create, Scalar, attributes

TRUE_WORDS = frozenset(("true", "t", "yes", "y", "on", "1"))
FALSE_WORDS = frozenset(("false", "f", "no", "n", "off", "0"))
UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")
LABEL = re.compile(r"_?[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
URL_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]]|%[0-9A-Fa-f]{2})*\Z")
CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")
INT64 = 2**63


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("Value should be string")
    if "\x00" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise ValueError("Value must not contain NUL or lone surrogates")
    return value


def _bounded(value: str, least: int, most: int) -> str:
    if len(value) > most:
        raise ValueError(f"Value should have a maximum character requirement of {most}")
    if len(value) < least:
        raise ValueError(f"Value should have a minimum character requirement of {least}")
    return value


def string(most: int, least: int = 0, pattern: str | None = None, about: str | None = None) -> Scalar:
    """Text of `least` to `most` characters, matching `pattern` (use \\Z, never $) if given."""
    compiled = re.compile(pattern) if pattern else None

    def read(value: object) -> str:
        text = _bounded(_text(value), least, most)
        if compiled and not compiled.match(text):
            raise ValueError(about or f"Value should match the pattern {pattern}")
        return text

    schema: dict[str, object] = {"type": "string", "maxLength": most}
    if least:
        schema["minLength"] = least
    return Scalar(read, f"string:{most}", schema, str)


def _integer(value: object) -> int:
    try:
        if isinstance(value, (int, float, str)):
            number = int(value)
            if -INT64 <= number < INT64:
                return number
    except (ValueError, OverflowError):
        pass
    raise ValueError("Value should be an integer")


def integer(least: int | None = None, most: int | None = None) -> Scalar:
    """A whole number; numbers in strings and fractions (truncated) are taken, as the contract has it."""

    def read(value: object) -> int:
        number = _integer(value)
        if least is not None and number < least:
            raise ValueError(f"Value should be greater or equal to {least}")
        if most is not None and number > most:
            raise ValueError(f"Value should be lower or equal to {most}")
        return number

    schema: dict[str, object] = {"type": "integer"}
    if least is not None:
        schema["minimum"] = least
    if most is not None:
        schema["maximum"] = most
    return Scalar(read, "integer", schema, _integer)


def _boolean(value: object) -> bool:
    if isinstance(value, bool | int):
        return bool(value)
    if isinstance(value, str):
        if value in TRUE_WORDS:
            return True
        if value in FALSE_WORDS:
            return False
    raise ValueError(f"Value not an unambiguous boolean: {value}")


def truth(text: str) -> bool:
    """A boolean as a filter: true, 1, yes or on in any case; anything else is false."""
    return text.lower() in ("true", "1", "yes", "on")


BOOLEAN = Scalar(_boolean, "boolean", {"type": "boolean"}, truth)


def _uuid(value: object) -> str:
    if not isinstance(value, str) or not UUID.match(value):
        raise ValueError("Value should be UUID format")
    return str(uuid.UUID(value))


IDENTIFIER = Scalar(_uuid, "string:36", {"type": "string", "format": "uuid"}, str)


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that `text` writes; zones ("%eth0") are refused. Raises ValueError."""
    if "%" in text:
        raise ValueError("Value should be IPv4 or IPv6 format")
    return ipaddress.ip_address(text)


def _ip(value: object) -> str:
    try:
        address(_text(value))
    except ValueError:
        raise ValueError("Value should be IPv4 or IPv6 format") from None
    return str(value)


IP_ADDRESS = Scalar(_ip, "string:64", {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}, str)


def _cidr(value: object) -> str:
    try:
        text = _text(value)
        if "%" in text:
            raise ValueError
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("Value should be IPv4 or IPv6 CIDR format") from None


CIDR = Scalar(_cidr, "string:64", {"type": "string"}, str)


def _url(value: object) -> str:
    text = _bounded(_text(value), 0, 255)
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not CONTROL_OR_SPACE.search(text)
        good = good and text.isascii() and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("Value must be a valid URL string")
    return text


URL = Scalar(_url, "string:255", {"type": "string", "format": "uri", "maxLength": 255}, str)


def _url_path(value: object) -> str:
    text = _bounded(_text(value), 0, 2048)
    if not URL_PATH.match(text) or text.startswith("//"):
        raise ValueError("Value must be a valid URL Path string")
    return text


PATH = Scalar(_url_path, "string:2048", {"type": "string", "pattern": "^/", "maxLength": 2048}, str)


def _domain(value: object) -> str:
    text = _bounded(_text(value), 1, 255)
    name = text.removesuffix(".")
    if len(name) > 253 or not all(len(label) <= 63 and LABEL.match(label) for label in name.split(".")):
        raise ValueError("Value should match the pattern of a domain name")
    return text


DOMAIN_NAME = Scalar(_domain, "string:255", {"type": "string", "minLength": 1, "maxLength": 255}, str)


def one_of(*values: str, reason: str | None = None) -> Scalar:
    """One of a closed list of words; `reason` is what is said of any other."""

    def read(value: object) -> str:
        if value not in values:
            raise ValueError(reason or f"Value should be one of: {', '.join(values)}")
        return str(value)

    return Scalar(read, f"string:{max(map(len, values))}", {"type": "string", "enum": list(values)}, str)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("Value should be a number")
    return number


def one_of_numbers(sql: str, *values: float) -> Scalar:
    """One of a closed list of numbers, also written as strings; `sql` is "integer" or "float"."""
    kind: Callable[[str | int | float], float] = int if sql == "integer" else float

    def read(value: object) -> float:
        try:
            if isinstance(value, (int, float, str)) and not isinstance(value, bool) and float(value) in values:
                return kind(float(value))
        except (ValueError, OverflowError):
            pass
        raise ValueError(f"Value should be one of: {', '.join(map(str, values))}")

    return Scalar(read, sql, {"type": "number", "enum": list(values)}, _integer if sql == "integer" else _finite)


def or_null(schema: Mapping[str, object]) -> dict[str, object]:
    """The JSON Schema of the same, or null."""
    kind, choices = schema.get("type"), schema.get("enum")
    if not isinstance(kind, str):
        return {"anyOf": [dict(schema), {"type": "null"}]}
    found = {**schema, "type": [kind, "null"]}
    return {**found, "enum": [*choices, None]} if isinstance(choices, list) else found


def list_of(item: Scalar, unique: bool = False) -> Scalar:
    """A list of values of one kind, without repetition if `unique` (repeated values are dropped)."""

    def read(value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"Value not a valid list: {value}")
        items = [item.read(each) for each in value]
        return tuple(dict.fromkeys(items)) if unique else tuple(items)

    return Scalar(read, "json", {"type": "array", "items": dict(item.schema)}, str)


def mapping_of(item: Scalar) -> Scalar:
    """An object with any keys and values of one kind."""

    def read(value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise ValueError("Value should be an object")
        return {_bounded(_text(key), 0, 255): item.read(each) for key, each in value.items()}

    return Scalar(read, "json", {"type": "object", "additionalProperties": dict(item.schema)}, str)


def read_object(cls: type[msgspec.Struct], value: object) -> dict[str, object]:
    """The keys of a declared object that were given, each read; a null stays one.

    Raises ValueError for what is no object or has a key that is not declared; errors.BadValue, naming it, for a value.
    """
    if not isinstance(value, dict):
        raise ValueError("Value should be an object")
    declared = attributes(cls)
    unknown = [str(key) for key in value if key not in declared]
    if unknown:
        raise ValueError(f"Unknown attribute {unknown[0]}")
    found: dict[str, object] = {}
    for key, each in value.items():
        try:
            found[key] = None if each is None else declared[key].scalar.read(each)
        except ValueError as error:
            raise errors.BadValue(field=key, value=each, reason=str(error)) from None
    return found


def object_schema(cls: type[msgspec.Struct]) -> dict[str, object]:
    """The JSON Schema of a declared object."""
    declared = attributes(cls)
    schema: dict[str, object] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _described(each) for name, each in declared.items()},
    }
    required = [name for name, each in declared.items() if each.create is Create.REQUIRED]
    return {**schema, "required": required} if required else schema


def _described(attribute: Attribute) -> dict[str, object]:
    schema = {**attribute.scalar.schema, "description": f"{attribute.about} Since {attribute.since}."}
    return schema if attribute.create is Create.REQUIRED else or_null(schema)


TEXT_255 = string(255)
PROJECT = string(36)
PORT_NUMBER = integer(1, 65535)
MILLISECONDS = integer(0, 2073600000)
_TIME = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?$",
    "examples": ["2026-01-02T03:04:05.123456"],
}
TIMESTAMP = Scalar(_text, "string:26", _TIME, str)

TAGS = list_of(TEXT_255, unique=True)
FAULT = Scalar(_text, "text", {"type": "string"}, str)
REFERENCE = string(255, pattern=r"[^\x00-\x1f\x7f]*\Z", about="Value should be a reference to a secret")
REFERENCES = list_of(REFERENCE, unique=True)

ALPN = list_of(one_of("h2", "http/1.1", "http/1.0", reason="Value should be a valid ALPN protocol ID"), unique=True)
CIPHERS = string(2048, pattern=r"[A-Za-z0-9\-+!:@=_.]*\Z", about="Value should be a list of OpenSSL ciphers")
TLS_VERSIONS = list_of(string(32), unique=True)
"""Which words are versions, rules/consistency/tls.py says, where they mean something."""
