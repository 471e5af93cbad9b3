# SPDX-License-Identifier: Apache-2.0
"""What the agent keeps of an amphora on disk, and where.

    <state_dir>/amphorae/<id>/fence          highest (epoch, generation) ever seen, written in place
    <state_dir>/amphorae/<id>/desired.json   the Desired in force: the truth after a restart
    <state_dir>/amphorae/<id>/haproxy.cfg    what HAProxy runs, derived from it
    <state_dir>/amphorae/<id>/counters.json  totals of the processes so far
    <state_dir>/tombstones/<id>              fences of removed amphorae, bounded
    <run_dir>/amphorae/<id>/                 HAProxy's sockets, process id, server states and chroot: `@RUN@`

A change is prepared beside the file (`*.next`, which also finds a full disk out before anything is touched) and
put in force by rename. Files are 0600, directories 0700.
"""

import contextlib
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Iterator

import msgspec

from ottava.wire.desired import Desired

Fence = tuple[int, int]
NO_FENCE: Fence = (0, 0)

TOMBSTONES = 2000
TOMBSTONE_AGE = 7 * 86400.0
SOCKET_PATH_LIMIT = 107

_DESIRED = msgspec.json.Decoder(Desired)


def replace(path: pathlib.Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all. Raises OSError."""
    prepare(path, data)
    commit(path)


def prepare(path: pathlib.Path, data: bytes) -> None:
    """Lay `data` down beside `path`. Raises OSError, and leaves nothing then."""
    beside = following(path)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def commit(path: pathlib.Path) -> None:
    """Put what was prepared in the place of `path`."""
    os.replace(following(path), path)


def following(path: pathlib.Path) -> pathlib.Path:
    """Where the next version of `path` is prepared."""
    return path.with_name(path.name + ".next")


class Files:
    """The files of one amphora. `amphora_id` must be a UUID in its usual form: it becomes part of paths."""

    def __init__(self, state_dir: str, run_dir: str, amphora_id: str) -> None:
        if str(uuid.UUID(amphora_id)) != amphora_id:
            raise ValueError(f"not a UUID: {amphora_id}")
        state = pathlib.Path(state_dir)
        self.state = state / "amphorae" / amphora_id
        self.fence = self.state / "fence"
        self.desired = self.state / "desired.json"
        self.config = self.state / "haproxy.cfg"
        self.counters = self.state / "counters.json"
        self.tombstone = state / "tombstones" / amphora_id
        self.run = pathlib.Path(run_dir) / "amphorae" / amphora_id
        self.pid = self.run / "haproxy.pid"
        self.starting = self.run / "starting"
        self.socket = self.run / "haproxy.sock"
        self.chroot = self.run / "chroot"
        self.log = self.chroot / "log"
        self.servers = self.run / "server-state"

    def make(self) -> None:
        """Make the directories. Raises OSError."""
        for directory in (self.state, self.run):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.chroot.exists():
            self.chroot.mkdir()
            self.chroot.chmod(0o711)  # HAProxy searches it without privileges; nobody else gets that far

    def read_fence(self) -> Fence:
        """The highest (epoch, generation) ever stored, of a removed amphora too."""
        for path in (self.fence, self.tombstone):
            with contextlib.suppress(OSError, ValueError):
                epoch, generation = path.read_bytes().split()
                return int(epoch), int(generation)
        return NO_FENCE

    def write_fence(self, fence: Fence) -> None:
        """Store `fence`. It has a fixed length and is overwritten in place, so it needs no room on a full disk."""
        _write_in_place(self.fence, fence)
        self.tombstone.unlink(missing_ok=True)

    def read_desired(self) -> Desired | None:
        """What is in force, or None if there is nothing (or nothing readable: then it must be applied anew)."""
        try:
            return _DESIRED.decode(self.desired.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    def text(self, desired: Desired) -> bytes:
        """HAProxy's configuration, with what only this host knows filled in."""
        return desired.proxy.text.replace("@RUN@", str(self.run)).encode() if desired.proxy else b""

    def remove(self, fence: Fence) -> None:
        """Delete all that is kept of the amphora but a tombstone with `fence`."""
        shutil.rmtree(self.run, ignore_errors=True)
        self.tombstone.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.fence, self.tombstone)
        shutil.rmtree(self.state, ignore_errors=True)
        _write_in_place(self.tombstone, fence)
        _bury(self.tombstone.parent)


def check_socket_length(run_dir: str) -> None:
    """Raises ValueError if the sockets below `run_dir` had paths longer than the kernel takes."""
    example = Files("", run_dir, str(uuid.UUID(int=0)))
    longest = max(len(os.fsencode(path)) for path in (example.socket, example.log))
    if longest > SOCKET_PATH_LIMIT:
        raise ValueError(
            f"the run directory {run_dir} is {longest - SOCKET_PATH_LIMIT} bytes too long for sockets in it"
        )


def stored(state_dir: str) -> Iterator[str]:
    """Ids of the amphorae that have a directory."""
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(os.listdir(pathlib.Path(state_dir) / "amphorae"))


def _write_in_place(path: pathlib.Path, fence: Fence) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, b"%020d %020d\n" % fence, 0)
    finally:
        os.close(descriptor)


def _bury(directory: pathlib.Path) -> None:
    """Forget the oldest tombstones: an order that is a week late does not come."""
    with contextlib.suppress(OSError):
        entries = list(os.scandir(directory))
        if len(entries) <= TOMBSTONES // 2:
            return
        aged = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
        horizon = time.time() - TOMBSTONE_AGE
        for number, (modified, path) in enumerate(aged):
            if modified < horizon or number < len(aged) - TOMBSTONES:
                os.unlink(path)
