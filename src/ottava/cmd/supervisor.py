# SPDX-License-Identifier: Apache-2.0
"""Keeps the processes of one Ottava running: a child that ends is started again, a little later each time.

Children are forked, not executed: what they import was imported once, so the whole starts in half the time, a killed
one is back in a few milliseconds, and the memory is shared. That is safe as long as this process has one thread.
"""

import contextlib
import ctypes
import logging
import os
import random
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LOG = logging.getLogger(__name__)

Job = Callable[[], int]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
GRACE = 10.0
"""Seconds that a child has to end after SIGTERM."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


@dataclass
class _Child:
    """A role. pid and end (a pidfd) are -1 while it does not run; due: when it is started (again), monotonic."""

    pid: int = -1
    end: int = -1
    began: float = 0.0
    due: float = 0.0
    pause: float = FIRST_PAUSE
    starts: int = 0


class Supervisor:
    """One child for each role, in a process group of its own, so that a ^C at the terminal reaches only this process."""

    def __init__(self, jobs: Mapping[str, Job], herald: Job, false_starts: int, after_fork: Callable[[], None]) -> None:
        """`jobs` run for ever; what they return is their exit status.

        herald        runs beside them once and says when all is ready; if it fails, everything ends
        false_starts  a job that ends so often before the herald has ended is given up
        after_fork    called first in every child
        """
        self._jobs = {**jobs, "herald": herald}
        self._false_starts = false_starts
        self._after_fork = after_fork
        self._children = {role: _Child() for role in self._jobs}
        self._told_to_end = False
        self._status: int | None = None

    def run(self) -> int:
        """Until SIGTERM, SIGINT or SIGHUP (0), or until the start has failed (1)."""
        assert threading.active_count() == 1, "a fork with threads may copy a lock that nobody will ever open"
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._on_signal) for number in _ENDING}
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(reader, selectors.EVENT_READ)
                while not self._told_to_end and self._status is None:
                    self._turn(selector, reader)
        finally:
            self._stop()
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)
        return self._status or 0

    def _on_signal(self, number: int, frame: object) -> None:
        self._told_to_end = True

    def _turn(self, selector: selectors.BaseSelector, reader: int) -> None:
        """Start what is due, then wait for the next thing to happen and see to it."""
        for role, child in self._children.items():
            if child.end < 0 and child.due <= time.monotonic():
                self._start(role, child)
                selector.register(child.end, selectors.EVENT_READ, role)
        waiting = [child.due for child in self._children.values() if child.end < 0]
        timeout = max(0.0, min(waiting) - time.monotonic()) if waiting and min(waiting) != float("inf") else None
        for key, _ in selector.select(timeout):
            if key.fd == reader:
                with contextlib.suppress(BlockingIOError):
                    os.read(reader, 512)
            else:
                selector.unregister(key.fd)
                self._ended(key.data, self._children[key.data])

    def _start(self, role: str, child: _Child) -> None:
        child.starts += 1
        child.began = time.monotonic()
        child.pid = self._fork(role)
        child.end = os.pidfd_open(child.pid)

    def _ended(self, role: str, child: _Child) -> None:
        """Decide what follows from the end of a child."""
        _, raw = os.waitpid(child.pid, 0)
        status = os.waitstatus_to_exitcode(raw)
        os.close(child.end)
        child.pid = child.end = -1
        if role == "herald":
            child.due = float("inf")
            if status != 0:
                self._status = 1
            return
        if child.starts >= self._false_starts and self._children["herald"].due != float("inf"):
            LOG.error("%s %s; it does not start, what it said stands above", role, _how(status))
            self._status = 1
            return
        if time.monotonic() - child.began > LONGEST_PAUSE:
            child.pause = FIRST_PAUSE
        pause = child.pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
        LOG.warning("%s %s; starting it again in %.1f s", role, _how(status), pause)
        child.due = time.monotonic() + pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _fork(self, role: str) -> int:
        """A child that runs the job of `role` and ends with its status; never returns in the child."""
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            self._settle(role, parent)
            status = self._jobs[role]()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            LOG.exception("%s broke off", role)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _settle(self, role: str, parent: int) -> None:
        """Make a fresh child independent of what it inherited."""
        signal.set_wakeup_fd(-1)
        for number in _ENDING:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        for other in self._children.values():
            if other.end >= 0:
                os.close(other.end)
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        end_with_parent()
        if os.getppid() != parent:
            raise SystemExit("ottava up has ended")
        ctypes.CDLL(None).prctl(_PR_SET_NAME, f"ottava-{role}".encode())
        self._after_fork()

    def _stop(self) -> None:
        """End all children: SIGTERM, and SIGKILL to those that do not end in time."""
        alive = {role: child for role, child in self._children.items() if child.end >= 0}
        for child in alive.values():
            signal.pidfd_send_signal(child.end, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for role, child in alive.items():
            with selectors.DefaultSelector() as selector:
                selector.register(child.end, selectors.EVENT_READ)
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    LOG.warning("%s did not end in %.0f s and is killed", role, GRACE)
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            os.close(child.end)
            child.pid = child.end = -1


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent ends, so that nothing of a killed Ottava lingers."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _how(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
