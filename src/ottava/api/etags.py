# SPDX-License-Identifier: Apache-2.0
"""ETags: two writers who read before they write do not undo one another unseen.

The ETag of an object is a digest of what its answer shows, but for what Ottava writes of its own accord: it changes
with every wish that a writer could undo, and stays the same while statuses come and go.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import falcon
import msgspec

from ottava.model import errors

UNCOUNTED = frozenset(("provisioning_status", "operating_status", "updated_at", "fault"))
"""Attributes that are written without anybody having asked for it."""

Answer = Mapping[str, object]


def tag(answer: Answer | Sequence[Answer]) -> str:
    """The ETag of an object, or of several, without its quotation marks. answer: all that showing it would answer."""
    counted = _counted(answer) if isinstance(answer, Mapping) else [_counted(each) for each in answer]
    return hashlib.blake2b(msgspec.json.encode(counted), digest_size=12).hexdigest()


def _counted(answer: Answer) -> Answer:
    return {name: value for name, value in answer.items() if name not in UNCOUNTED}


def put(resp: falcon.Response, answer: Answer | Sequence[Answer]) -> None:
    """Send the ETag of an object, or of several, with the answer."""
    resp.set_header("ETag", f'"{tag(answer)}"')


def check(req: falcon.Request, current: Callable[[], Answer | Sequence[Answer]]) -> None:
    """Refuse a request whose If-Match does not name the ETag of the object as it is now; to be asked under its lock.

    current: shows the object; called only where there is an If-Match. Raises NotMatched.
    """
    if not (req.get_header("If-Match") or "").strip():
        return
    expected = tag(current())
    for each in req.if_match or ():
        if each == "*" or (each == expected and not getattr(each, "is_weak", False)):
            return
    raise errors.NotMatched(etag=expected)
