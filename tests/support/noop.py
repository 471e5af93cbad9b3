# SPDX-License-Identifier: Apache-2.0
"""`ottava up --noop` for tests, run as nobody where the tests are root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openstack

from support.machine import BIN, eventually
from support.slots import free_ports

NOBODY = 65534


class Noop:
    """One Ottava that does nothing. `folder` is its state directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Start it, and return when it says that it is ready."""
        log = self.folder.with_suffix(".log")
        with log.open("wb") as output:
            words = [str(BIN / "ottava"), "up", "--noop", "--port", str(self.port), "--state", str(self.folder)]
            self.process = subprocess.Popen([*_unprivileged(), *words], stdout=output, stderr=output)
        process = self.process
        eventually(lambda: "Ottava is ready" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()

    def stop(self) -> None:
        """End it as an operator would."""
        assert self.process
        self.process.terminate()
        assert self.process.wait(60) == 0, self.folder.with_suffix(".log").read_text()
        self.process = None

    def sdk(self) -> openstack.connection.Connection:
        """An unmodified openstacksdk."""
        return openstack.connect(
            auth_type="none",
            auth={"endpoint": self.url},
            load_balancer_endpoint_override=f"{self.url}/v2.0",
            load_config=False,
        )


def _unprivileged() -> list[str]:
    """Words before those of a command that make nobody of root. All that is left to him is to read the interpreter."""
    if os.geteuid() != 0:
        return []
    only = "=-all,+dac_read_search"
    capabilities = [
        f"--{kind}-{caps}{only}" for kind, caps in (("inh", "caps"), ("ambient", "caps"), ("bounding", "set"))
    ]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *capabilities]


@contextmanager
def noop() -> Iterator[Noop]:
    """One that runs."""
    folder = Path(tempfile.mkdtemp(prefix="ottava-noop-"))
    folder.chmod(0o777)
    made = Noop(folder / "state")
    try:
        made.up()
        yield made
        made.stop()
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.wait()
        shutil.rmtree(folder)
