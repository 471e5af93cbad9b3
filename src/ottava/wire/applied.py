# SPDX-License-Identifier: Apache-2.0
"""Applied: what the agent did with a Desired, or what it finds of an amphora."""

import enum

import msgspec

from ottava.wire import VERSION


class Outcome(enum.StrEnum):
    """How an apply ended.

    SERVING  the digest is in force
    FENCED   a newer epoch or generation is stored: nothing was done
    REFUSED  the engine refused the configuration; the last good one serves on. Trying again is vain
             until the wish changes
    FAILED   something on the host is in the way (a full disk, a missing binary, a port taken);
             trying again may help
    ABSENT   there is no such amphora on this host
    """

    SERVING = "serving"
    FENCED = "fenced"
    REFUSED = "refused"
    FAILED = "failed"
    ABSENT = "absent"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one amphora.

    epoch, generation, digest  of what is in force now (the last good one), 0 and "" if nothing
    actions                    one sentence for each thing done, in order ("reloaded haproxy: listener ... added")
    fault                      why the outcome is not SERVING, in words (HAProxy's own where it spoke)
    culprits                   ids of the objects whose lines HAProxy refused
    """

    version: int = VERSION
    amphora_id: str
    outcome: Outcome
    epoch: int = 0
    generation: int = 0
    digest: str = ""
    actions: tuple[str, ...] = ()
    fault: str = ""
    culprits: tuple[str, ...] = ()
