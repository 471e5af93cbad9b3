# SPDX-License-Identifier: Apache-2.0
"""A hook for chaos tests: where OTTAVA_CRASH_AT says, the process kills itself, or others.

The value is the name of a point, `agent:files`, or `agent:files#3` for its third passing, or the absolute path of a
file that says `agent:files`, or `agent:files PID ...` for the processes that are to die in place of this one. The file
is removed first, so it strikes once, although the process is started again with the same environment.
"""

import os
import pathlib
import signal

_wanted = os.environ.get("OTTAVA_CRASH_AT", "")
_name, _, _number = _wanted.partition("#")
_left = int(_number) if _number.isdigit() else 1


def crash_point(name: str) -> None:
    """Send SIGKILL, to this process unless others are named, if the environment asks for it; otherwise nothing."""
    for pid in _victims(name) if _wanted else ():
        os.kill(pid, signal.SIGKILL)


def _victims(name: str) -> list[int]:
    global _left  # noqa: PLW0603
    if _wanted.startswith("/"):
        return _told(name)
    if name != _name:
        return []
    _left -= 1
    return [os.getpid()] if _left <= 0 else []


def _told(name: str) -> list[int]:
    """What the file says; of several who come by at once, only the one that removes it is told."""
    try:
        point, *pids = pathlib.Path(_wanted).read_text().split()
        if point != name:
            return []
        os.unlink(_wanted)
    except FileNotFoundError:
        return []
    return [int(pid) for pid in pids] or [os.getpid()]
