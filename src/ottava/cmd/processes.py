# SPDX-License-Identifier: Apache-2.0
"""Which processes of Ottava run here: each holds a lock on a file of its own in `<run_dir>/processes/`.

A lock ends with its process, however that ends, so a file without a lock says nothing.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ottava.cmd.mistakes import UserMistake

_held: set[int] = set()
"""The descriptors whose locks this process holds."""


@dataclass(frozen=True)
class Running:
    """A process of Ottava. role: the command that it runs."""

    role: str
    pid: int


@contextlib.contextmanager
def registered(run_dir: str, role: str) -> Iterator[None]:
    """While this lasts, `running(run_dir)` lists this process."""
    folder = Path(run_dir) / "processes"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{role}-{os.getpid()}"
    with _holding(_own(path)):
        yield
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: str, what: str) -> Iterator[None]:
    """Hold `folder` for this process alone. Raises UserMistake if another one has it."""
    path = Path(folder) / "up.lock"
    with _lock(path) as held:
        if not held:
            owner = path.read_text().strip() or "unknown"
            raise UserMistake(
                f"an Ottava runs there already (process {owner} holds the {what} {folder}); "
                "stop it, or give this one its own --state-dir and --run-dir"
            )
        path.write_text(f"{os.getpid()}\n")
        yield


def let_go() -> None:
    """In a forked child: the locks are the parent's, and must end with it."""
    while _held:
        os.close(_held.pop())


def running(run_dir: str) -> list[Running]:
    """The processes of Ottava that run with this run_dir, but for this one."""
    found = []
    for path in sorted((Path(run_dir) / "processes").glob("*-*")):
        role, _, pid = path.name.rpartition("-")
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        with contextlib.suppress(FileNotFoundError), _lock(path, create=False) as held:
            if held:
                path.unlink(missing_ok=True)
            else:
                found.append(Running(role, int(pid)))
    return found


def stop(processes: Sequence[Running], run_dir: str, patience: float = 10.0) -> None:
    """End them: politely, and by force after `patience` seconds. The proxies are none of them and stay."""
    for each in processes:
        _signal(each.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    wanted = set(processes)
    while wanted & set(running(run_dir)):
        if time.monotonic() > deadline:
            for each in wanted & set(running(run_dir)):
                _signal(each.pid, signal.SIGKILL)
            deadline += patience
        time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    """To the whole group if the process leads one, as the children of `ottava up` do: a server has workers."""
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid and number == signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _own(path: Path) -> int:
    """A descriptor that holds the lock of `path`, as it is in its directory now: `running` may just have tidied it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)


@contextlib.contextmanager
def _lock(path: Path, create: bool = True) -> Iterator[bool]:
    """Try to lock `path`; gives whether it was free."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o600)
    with _holding(descriptor):
        yield _try(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _holding(descriptor: int) -> Iterator[None]:
    """Close `descriptor` at the end; meanwhile a forked child knows that it is not its own."""
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)
