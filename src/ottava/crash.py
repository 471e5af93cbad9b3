# SPDX-License-Identifier: Apache-2.0
"""Points at which a chaos test may make a process kill itself, or others.

`OTTAVA_CRASH_AT=name` names the point, `name#N` its N-th passing. An absolute path instead is that of a file that says
`name`, or `name PID ...` for the processes that are to die in place of the one that comes by. The file is removed
first, so it strikes once, although the process is started again with the same environment; a new one strikes anew.
Without the variable a point costs one comparison.
"""

import os
import signal
import threading
from pathlib import Path

_lock = threading.Lock()
_wanted = os.environ.get("OTTAVA_CRASH_AT", "")
_name, _, _passing = _wanted.partition("#")
_left = int(_passing or 1)


def crash_point(name: str) -> None:
    """Send SIGKILL, to this process unless others are named, if this is the point to crash at."""
    for pid in _victims(name) if _wanted else ():
        os.kill(pid, signal.SIGKILL)


def _victims(name: str) -> list[int]:
    global _left  # noqa: PLW0603 - how often the point may still be passed belongs to the process
    if _wanted.startswith("/"):
        return _told(name)
    if name != _name:
        return []
    with _lock:
        _left -= 1
        return [os.getpid()] if _left == 0 else []


def _told(name: str) -> list[int]:
    """What the file says; of several who come by at once, only the one that removes it is told."""
    try:
        point, *pids = Path(_wanted).read_text().split()
        if point != name:
            return []
        os.unlink(_wanted)
    except FileNotFoundError:
        return []
    return [int(pid) for pid in pids] or [os.getpid()]
