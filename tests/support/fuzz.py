# SPDX-License-Identifier: Apache-2.0
"""How long tests that try things at random go on: briefly, or as many times longer as FUZZ says (`make fuzz`)."""

import os

TIMES = int(os.environ.get("FUZZ", "1"))


def examples(briefly: int) -> int:
    """How many to try."""
    return briefly * TIMES
