# SPDX-License-Identifier: Apache-2.0
"""HAProxy processes: started inside a namespace yet outside the agent's process tree, adopted, watched and stopped.

A process is known by its pid file and believed only when its command line names that pid file; a pid that does not
is never signalled. Signals go through a pidfd that was opened before the check, so a pid used anew cannot be hit.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from ottava.agent import namespaces

_MARK = "OTTAVA=1"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "OTTAVA": "1"}
"""Of every process that Ottava leaves on a host; by its mark it is known as ours, wherever it lives."""
_WORDS_LIMIT = 64 * 1024
_TICKS = os.sysconf("SC_CLK_TCK")

# The lines by which HAProxy says that the text is at fault, and those that look so but are the host's.
_REFUSAL = ("[ALERT]", "config : ")
_NOT_THE_TEXT = ("out of memory", "not enough memory", "could not open configuration file", "cannot open configuration")


class Refused(Exception):
    """HAProxy refuses the configuration; the text is what it said. Trying again is vain."""


class Failed(Exception):
    """HAProxy could not start for something on the host: no binary, a port taken, no memory, no descriptors."""


def _complain(words: str) -> Exception:
    lines = [line for line in words.splitlines() if all(mark in line for mark in _REFUSAL)]
    text_is_at_fault = lines and not any(sign in words.lower() for sign in _NOT_THE_TEXT)
    return Refused(words) if text_is_at_fault else Failed(words)


def _spawn(argv: Sequence[str], timeout: float, namespace: str | None = None) -> tuple[int, str]:
    """Run HAProxy until its first process exits; (exit code, what it said). Raises Failed.

    The end of what it says is the sign that a daemon is ready: it lets go of our pipe after it has left for its
    chroot and given up its rights, the last things that can fail.
    """
    ours, theirs = os.pipe()
    until = time.monotonic() + timeout
    try:
        try:
            with namespaces.inside(namespace) if namespace else contextlib.nullcontext():
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=theirs,
                    stderr=theirs,
                    env=ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
        finally:
            os.close(theirs)
        words = _read(ours, until)
        if words is None or not _ends(process, max(0.0, until - time.monotonic())):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Failed(f"haproxy did not answer within {timeout:g} seconds")
        return process.wait(), words
    except FileNotFoundError as error:
        if error.filename != argv[0]:
            raise Failed(str(error)) from error
        raise Failed(f"there is no HAProxy program {argv[0]}: install it, or name it in [agent] haproxy") from error
    except OSError as error:
        raise Failed(f"{argv[0]} could not be started: {error.strerror}") from error
    finally:
        os.close(ours)


def _read(descriptor: int, until: float) -> str | None:
    """All text to the end of the pipe, its surplus dropped; None if the end does not come in time."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    words = b""
    while poller.poll(max(0.0, until - time.monotonic()) * 1000):
        chunk = os.read(descriptor, 4096)
        if not chunk:
            return words.decode(errors="replace").strip()
        words = (words + chunk)[:_WORDS_LIMIT]
    return None


def _ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether our child ends within so many seconds, known at once: Popen.wait with a time-out sleeps too long."""
    descriptor = os.pidfd_open(process.pid)
    try:
        return _ended(descriptor, seconds)
    finally:
        os.close(descriptor)


def check_haproxy(binary: str, config: Path, *, timeout: float = 30.0) -> None:
    """Ask HAProxy about a configuration. Raises Refused, Failed."""
    code, words = _spawn([binary, "-c", "-f", str(config)], timeout)
    if code != 0:
        raise _complain(words)


def start_haproxy(
    namespace: str,
    binary: str,
    config: Path,
    pidfile: Path,
    *,
    handover_socket: Path | None = None,
    timeout: float = 30.0,
) -> int:
    """Start HAProxy as a daemon in the namespace and answer its pid; it serves when this returns.

    With `handover_socket` (a stats socket, with `expose-fd listeners`, of the process that runs) it takes over the
    listening sockets, and both serve until the old one is asked to finish (SIGUSR1). HAProxy would ask it itself, by
    `-sf`, but if the new process cannot bind it would first silence the old one. Raises Refused, Failed; the old
    process has noticed nothing then.
    """
    argv = [binary, "-D", "-f", str(config), "-p", str(pidfile)]
    if handover_socket is not None:
        argv += ["-x", str(handover_socket)]
    since = int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)
    # A tick is long enough for two starts; whoever runs now is not the new one.
    previous = running(pidfile)
    lost = previous is None and pidfile.exists()
    known = {previous, *(everything(pidfile.parent).get(pidfile, []) if lost else [])}
    code, words = _spawn(argv, timeout, namespace)
    if code != 0:
        raise _complain(words)
    pid = running(pidfile, namespace)
    if pid is None or pid == previous:
        pid = _youngest(pidfile, since, known)
    if pid is None:
        raise Failed(f"haproxy ended right after its start. {words}")
    return pid


def _youngest(pidfile: Path, since: int, known: Container[int | None]) -> int | None:
    """The HAProxy of this pid file that started at that tick of the clock or later and is not known: a full disk
    keeps no pid file."""
    started = {pid: _start_tick(pid) for pid in everything(pidfile.parent).get(pidfile, []) if pid not in known}
    pid = max(started, key=lambda each: (started[each], each), default=None)
    return pid if pid is not None and started[pid] >= since else None


def _start_tick(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


# ---- which process is it -----------------------------------------------------------------------------------------


def _arguments(pid: int) -> list[str]:
    """The command line; empty when the process is gone, a zombie, or not ours to look at."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _starts(pid: int) -> str | None:
    """The pid file of an HAProxy that start_haproxy has started; None for every other process."""
    arguments = _arguments(pid)
    if len(arguments) >= 6 and arguments[1:3] == ["-D", "-f"] and arguments[4] == "-p":
        return arguments[5]
    return None


def _lives_in(pid: int) -> int:
    """The inode of the process's network namespace, 0 when it is gone or not ours to look at."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def _pid_in(pidfile: Path) -> int | None:
    try:
        with pidfile.open() as file:
            text = file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isascii() and text.isdigit() and 1 < int(text) < 1 << 22 else None


def running(pidfile: Path, namespace: str | None = None) -> int | None:
    """The pid of the HAProxy that the pid file names, if it really is that process and lives in the namespace.

    Without `namespace`, wherever it lives: someone may have deleted the name of its namespace.
    """
    pid = _pid_in(pidfile)
    if pid is None or _starts(pid) != str(pidfile):
        return None
    if namespace is None:
        return pid
    try:
        return pid if _lives_in(pid) == namespaces.inode(namespace) else None
    except FileNotFoundError:
        return None


def everything(run_dir: Path) -> dict[Path, list[int]]:
    """Every HAProxy of ours whose pid file is below `run_dir`, the draining ones too: pids by pid file, one look at
    all processes. The pid files themselves are not read, so this finds what a crash or a full disk let slip."""
    found: dict[Path, list[int]] = {}
    for pid in _all_pids():
        pidfile = _starts(pid)
        if pidfile and Path(pidfile).is_relative_to(run_dir) and ".." not in Path(pidfile).parts:
            found.setdefault(Path(pidfile), []).append(pid)
    return found


def living_in(inodes: set[int]) -> list[int]:
    """Every process that Ottava started and whose network namespace is one of these inodes. A shell that someone
    opened there is not ours."""
    return [pid for pid in _all_pids() if _lives_in(pid) in inodes and _is_marked(pid)]


def _is_marked(pid: int) -> bool:
    try:
        return _MARK.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


# ---- its end -----------------------------------------------------------------------------------------------------


def wait_exit(pid: int) -> int:
    """A pidfd, readable once the process has ended; the caller closes it. Raises ProcessLookupError if it has."""
    return os.pidfd_open(pid)


def stop(pid: int, grace: float, *, pidfile: Path | None = None) -> bool:
    """End an HAProxy of ours: it finishes what it has for `grace` seconds, then it is killed.

    True when it is gone. A pid that is no HAProxy of ours (or not the one of `pidfile`, if given) is left alone,
    and the answer is False unless there is no such process at all.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        started = _starts(pid)
        if started is None or (pidfile is not None and started != str(pidfile)):
            return _ended(descriptor, 0)
        return end(descriptor, grace, gently=signal.SIGUSR1)
    finally:
        os.close(descriptor)


def end(descriptor: int, grace: float, *, gently: signal.Signals) -> bool:
    """Send `gently`, wait `grace` seconds, then kill; True when the process of this pidfd is gone."""
    with contextlib.suppress(ProcessLookupError):
        if grace > 0:
            signal.pidfd_send_signal(descriptor, gently)
            if _ended(descriptor, grace):
                return True
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    return _ended(descriptor, 5.0)


def _ended(descriptor: int, seconds: float) -> bool:
    """Whether the process of the pidfd ends within so many seconds."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
