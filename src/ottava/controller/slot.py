# SPDX-License-Identifier: Apache-2.0
"""The name under which a controller holds leases: no two living ones share it, and a restarted one takes it up again."""

import fcntl
import os
import zlib
from pathlib import Path

MOST = 1000


class Slot:
    """A name, ours until `close()` or until the process ends, however it ends."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor

    def close(self) -> None:
        """Give the name back."""
        os.close(self._descriptor)


def take(state_dir: Path, host: str) -> Slot:
    """The first free name of this host and state directory, held by a lock on a file. Raises OSError."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two state directories of one host may share a database, so the name says which one it is of.
    base = f"{host}:{zlib.crc32(os.fsencode(state_dir.resolve())):08x}"
    for number in range(1, MOST):
        path = state_dir / f"controller-{number}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return Slot(f"{base}:{number}", descriptor)
    raise OSError(f"{MOST} controllers run in {state_dir} already")
