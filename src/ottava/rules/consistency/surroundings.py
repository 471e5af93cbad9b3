# SPDX-License-Identifier: Apache-2.0
"""Finding the objects that another one refers to, or competes with."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from ottava.model import errors, status
from ottava.model.listener import POOL_PROTOCOLS, Listener
from ottava.model.pool import Pool
from ottava.model.resource import Resource
from ottava.rules.mutability import word

R = TypeVar("R", bound=Resource)


def referred(table: Mapping[str, R], cls: type[R], identifier: str | None) -> R:
    """The object that an id refers to. Raises NotFound; Immutable when it is being deleted."""
    found = table.get(identifier or "")
    if found is None:
        raise errors.NotFound(resource=cls.kind.word, id=identifier)
    if found.provisioning_status == status.PENDING_DELETE:
        raise errors.Immutable(resource=word(cls), id=identifier)
    return found


def others(table: Mapping[str, R], thing: R) -> Iterator[R]:
    """Every other object of the kind that is there to stay."""
    for other in table.values():
        if other.id != thing.id and other.provisioning_status != status.PENDING_DELETE:
            yield other


def check_children(listener: Listener) -> None:
    """Raises NoChildren for a listener that serves figures of its own."""
    if listener.protocol == "PROMETHEUS":
        raise errors.NoChildren(protocol=listener.protocol)


def check_protocols(listener: Listener, pool: Pool) -> None:
    """Raises Invalid when the pool cannot stand behind the listener, NoChildren when none can."""
    check_children(listener)
    if pool.protocol not in POOL_PROTOCOLS[listener.protocol]:
        raise errors.Invalid(
            reason=f"The pool protocol '{pool.protocol}' is invalid while the listener protocol is "
            f"'{listener.protocol}'."
        )
