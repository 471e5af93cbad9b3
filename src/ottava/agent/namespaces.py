# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: make, list, enter and delete them; kept by a bind mount in /run/netns, where `ip netns` looks.

Entering is a matter of one thread: the other threads of the process stay where they are.
"""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

DIRECTORY = Path("/run/netns")
_OWN = "/proc/thread-self/ns/net"

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_MNT_DETACH = 2

# Inside, addresses come from the wish alone and are usable at once.
_SYSCTLS = (
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/autoconf", "0"),
)

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library; raises OSError."""
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _mount(source: str, target: Path, flags: int) -> None:
    _call("mount", source.encode(), os.fsencode(target), b"none", ctypes.c_ulong(flags), None)


def _path(name: str) -> Path:
    if not name or "/" in name or name.startswith("."):
        raise ValueError(f"{name!r} is no name for a network namespace")
    return DIRECTORY / name


def _directory() -> None:
    """Make /run/netns as `ip netns` does: shared, so that a deletion is seen in every mount namespace."""
    DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        _mount("", DIRECTORY, _MS_SHARED | _MS_REC)
    except OSError:
        _mount(str(DIRECTORY), DIRECTORY, _MS_BIND | _MS_REC)
        _mount("", DIRECTORY, _MS_SHARED | _MS_REC)


def exists(name: str) -> bool:
    """Whether there is a living namespace of that name (a file that is no namespace does not count)."""
    try:
        return os.stat(_path(name)).st_dev == os.stat(_OWN).st_dev
    except FileNotFoundError:
        return False


def names(prefix: str) -> list[str]:
    """The namespaces whose name starts with `prefix`, sorted; leftovers that hold no namespace are among them."""
    try:
        return sorted(name for name in os.listdir(DIRECTORY) if name.startswith(prefix))
    except FileNotFoundError:
        return []


def inode(name: str) -> int:
    """The number that tells this namespace from others, as in /proc/PID/ns/net. Raises FileNotFoundError."""
    return os.stat(_path(name)).st_ino


@contextlib.contextmanager
def _back_home() -> Iterator[None]:
    """Whatever happens meanwhile, the calling thread ends in the namespace it began in."""
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _call("setns", home, _CLONE_NEWNET)
        finally:
            os.close(home)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """The calling thread is in the namespace `name` until the block ends. Raises FileNotFoundError, OSError.

    Start no thread inside: it would live in that namespace for good, and keep it.
    """
    target = handle(name)
    try:
        with _back_home():
            _call("setns", target, _CLONE_NEWNET)
            yield
    finally:
        os.close(target)


def handle(name: str) -> int:
    """An open file descriptor of the namespace; the caller closes it. Raises FileNotFoundError."""
    if not exists(name):
        raise FileNotFoundError(f"there is no network namespace {name}")
    return os.open(_path(name), os.O_RDONLY | os.O_CLOEXEC)


def _keep(name: str, source: str) -> None:
    """Mount the namespace file `source` under `name`."""
    path = _path(name)
    try:
        path.touch(mode=0o444)
    except FileNotFoundError:
        _directory()
        path.touch(mode=0o444)
    if not os.path.ismount(DIRECTORY):
        _directory()
    _mount(source, path, _MS_BIND)


def ensure(name: str) -> bool:
    """Make the namespace `name` unless it exists; True if it was made. Raises OSError."""
    if exists(name):
        return False
    with _back_home():
        _call("unshare", _CLONE_NEWNET)
        for sysctl, value in _SYSCTLS:
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                Path("/proc/sys", sysctl).write_text(value)
        _keep(name, _OWN)
    return True


def adopt(name: str, pid: int) -> bool:
    """After someone deleted the name: the namespace that process `pid` lives in gets it again; traffic never stops.

    False when nothing was done: the name is there, the process is gone, or it lives in the host's own namespace.
    """
    try:
        if exists(name) or os.path.samefile(f"/proc/{pid}/ns/net", _OWN):
            return False
        _keep(name, f"/proc/{pid}/ns/net")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def delete(name: str) -> bool:
    """Take away the name; the kernel clears the namespace when nothing lives in it any more. True if there was one."""
    path = _path(name)
    with contextlib.suppress(OSError):
        _call("umount2", os.fsencode(path), _MNT_DETACH)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def run(name: str, argv: Sequence[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a program in the namespace, without a shell, and wait for it; output as text. Raises TimeoutExpired."""
    with inside(name):
        return subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
