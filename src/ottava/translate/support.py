# SPDX-License-Identifier: Apache-2.0
"""What the data plane cannot carry out yet, although the API knows it."""

from ottava.model.resource import Resource


def lacking(thing: Resource) -> str | None:
    """A sentence that says what of `thing` cannot be carried out; None where all of it can."""
    return None
