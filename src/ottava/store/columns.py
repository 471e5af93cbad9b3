# SPDX-License-Identifier: Apache-2.0
"""From kinds of values to SQL types, the same in meaning on SQLite, PostgreSQL and MariaDB.

Text is compared and sorted by code point everywhere, numbers have 64 bits, and what has no SQL type
of its own is kept as JSON text and comes back as the type that the resource declares.
"""

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Dialect, Double, String, Text, TypeDecorator
from sqlalchemy.dialects.mysql import LONGTEXT, VARCHAR
from sqlalchemy.types import TypeEngine

MARIADB = ("mysql", "mariadb")
LEAST_LENGTH = 64
"""Short texts have at least this much room, so that a longer word in a closed list needs no migration."""
_BINARY = "utf8mb4_nopad_bin"


class Json(TypeDecorator[object]):
    """A value kept as JSON text. `kind` is the Python type that it is read back as."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: object = object) -> None:
        super().__init__()
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(text())

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], object]:
        decode = _decoder(self.kind).decode
        return lambda value: None if value is None else decode(value)


@functools.cache
def _decoder(kind: object) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


def string(length: int) -> TypeEngine[Any]:
    """Text of at most `length` characters."""
    bounded = String(length).with_variant(String(length, collation="C"), "postgresql")
    return bounded.with_variant(VARCHAR(length, charset="utf8mb4", collation=_BINARY), *MARIADB)


def text() -> TypeEngine[Any]:
    """Text of any length."""
    unbounded = Text().with_variant(Text(collation="C"), "postgresql")
    return unbounded.with_variant(LONGTEXT(charset="utf8mb4", collation=_BINARY), *MARIADB)


def sql_type(name: str, kind: object = object) -> TypeEngine[Any]:
    """The SQL type of a scalar by its `sql` name; `kind` is the Python type of a "json" one."""
    base, _, length = name.partition(":")
    makers: dict[str, Callable[[], TypeEngine[Any]]] = {
        "string": lambda: string(max(LEAST_LENGTH, int(length))),
        "text": text,
        "integer": BigInteger,
        "float": Double,
        "boolean": lambda: Boolean(create_constraint=False),
        "json": lambda: Json(kind),
    }
    return makers[base]()
