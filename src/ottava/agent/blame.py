# SPDX-License-Identifier: Apache-2.0
"""Whose lines HAProxy refused, out of its own words. Pure."""

import bisect
import re
from collections.abc import Iterator, Sequence

_ALERT = re.compile(r"^\[ALERT\]\s*\(\d+\)\s*:\s*(?:config\s*:\s*)?", re.MULTILINE)
_LEVEL = re.compile(r"^\[[A-Z]+\]\s*\(\d+\)\s*:\s*")
_SAYS_NOTHING = ("Error(s) found in", "Fatal errors found in", "Some protocols failed to start")
_PLACE = re.compile(r"\[[^\[\]]*:(\d+)\]")


def alerts(text: str) -> list[str]:
    """The alerts in what HAProxy wrote, without its level, process id and full stop; all lines if there are none."""
    lines = text.splitlines()
    found = [_ALERT.sub("", line).strip().removesuffix(".") for line in lines if line.startswith("[ALERT]")]
    telling = [line for line in found if not any(words in line for words in _SAYS_NOTHING)]
    return telling or found or [_LEVEL.sub("", line).strip() for line in lines if line.strip()]


def culprits(text: str, owners: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """Ids of the objects that own the lines named by the alerts in `text`, in the order of blame.

    owners: (first line, id) ascending. An alert that names no line blames the ids that stand in it.
    """
    return tuple(dict.fromkeys(owner for alert in alerts(text) for owner in _blamed(alert, owners)))


def _blamed(alert: str, owners: Sequence[tuple[int, str]]) -> Iterator[str]:
    places = [int(place) for place in _PLACE.findall(alert)]
    for place in places:
        position = bisect.bisect_right(owners, place, key=lambda owner: owner[0]) - 1
        if position >= 0 and owners[position][1]:
            yield owners[position][1]
    if not places:
        yield from (owner for _, owner in owners if owner and owner in alert)
