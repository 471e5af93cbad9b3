# SPDX-License-Identifier: Apache-2.0
"""A whole Ottava for tests: `ottava up` with directories, ports, a tag and a range of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import openstack

from ottava.agent import namespaces, netlink, processes
from ottava.cloud.network.base import Network
from ottava.cloud.network.local import LocalNetwork
from ottava.cmd.processes import Running, running
from support.slots import Slot, free_ports

BIN = Path(sys.executable).parent
PATIENCE = 60.0
ADMIN = ("admin", "not-a-secret")


class Failed(Exception):
    """A command of Ottava failed; the message is what it said."""


def eventually(what: Callable[[], Any], message: str = "", seconds: float = PATIENCE) -> Any:
    """The first true value of `what()`; fails after `seconds`, which is no measure of speed but the end of hope."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, message or f"never: {what}"
        time.sleep(0.02)


class Machine:
    """One Ottava. `more` are options by group, on top of what tests need."""

    def __init__(self, slot: Slot, more: Mapping[str, Mapping[str, object]] | None = None) -> None:
        self.slot = slot
        self.folder = folder = slot.folder
        self.state, self.run_dir, self.config = folder / "state", folder / "run", folder / "ottava.conf"
        self.api_port, agent_port, health_port = free_ports(3)
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.log = folder / "log"
        self.process: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}
        self.lines: list[str] = []
        sections: dict[str, dict[str, object]] = {
            "DEFAULT": {"state_dir": self.state, "run_dir": self.run_dir},
            "api": {"bind_port": self.api_port},
            "agent": {"bind_port": agent_port, "tag": slot.tag, "host_name": "laptop", "heartbeat_interval": 1},
            "health": {"bind_port": health_port},
            "local_network": {"network": f"lan {slot.ipv4} {slot.ipv6}"},
        }
        for group, options in (more or {}).items():
            sections.setdefault(group, {}).update(options)
        text = "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
            for group, options in sections.items()
        )
        self.config.write_text(text)

    # ---- running it

    def command(self, *words: str) -> list[str]:
        """The words of an `ottava` command with this configuration."""
        return [str(BIN / "ottava"), *words, "--config-file", str(self.config)]

    def ottava(self, *words: str, ok: bool = True) -> str:
        """Run a command; what it said. Raises Failed unless it went as expected."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=120, check=False)
        if (done.returncode == 0) != ok:
            raise Failed(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def up(self, *words: str, until: str = "Ottava is ready") -> None:
        """Run `ottava up` until it has said `until`."""
        assert self.process is None
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command("up", *words),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,
                env={**os.environ, **self.environment},
            )
        self.lines = []
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        process = self.process
        eventually(
            lambda: any(until in line for line in self.lines) or process.poll() is not None,
            f"no {until!r}: {self.words()}",
        )
        if process.poll() is not None and not any(until in line for line in self.lines):
            self.process = None
            raise Failed(f"ottava up ended with {process.returncode}: {self.words()}")

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            self.lines.append(line)

    def words(self) -> str:
        """What it said so far."""
        return "".join(self.lines) + (self.log.read_text() if self.log.exists() else "")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End `ottava up` by a signal; its exit status."""
        assert self.process
        self.process.send_signal(number)
        status = self.process.wait(60)
        self.process = None
        return status

    def running(self) -> list[Running]:
        """The processes of this Ottava, but for the proxies."""
        return running(str(self.run_dir))

    def pids(self) -> set[int]:
        """Of all processes of this Ottava, workers included."""
        pids = [each.pid for each in self.running()]
        return {*pids, *(child for pid in pids for child in children(pid))}

    def kill_everything(self) -> None:
        """SIGKILL to `ottava up` and to all of its processes at once; the proxies are no part of them."""
        assert self.process
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(60)
        self.process = None

    def down(self) -> None:
        """`ottava down`; fails if anything is left."""
        self.ottava("down")
        if self.process:
            self.process.wait(60)
            self.process = None
        assert self.left() == []

    def left(self) -> list[str]:
        """What carries the tag or belongs to us still."""
        devices = [link.name for link in netlink.here().links() if link.name.startswith(f"{self.slot.tag}-")]
        pids = [pid for several in processes.everything(self.run_dir).values() for pid in several]
        return [
            *namespaces.names(f"{self.slot.tag}-"),
            *devices,
            *(f"haproxy {pid}" for pid in pids),
            *(f"{each.role} {each.pid}" for each in self.running()),
        ]

    # ---- asking it

    @property
    def network(self) -> Network:
        """Its network."""
        lines = [f"lan {self.slot.ipv4} {self.slot.ipv6}"]
        return LocalNetwork(lines, None, self.slot.tag).networks()[0]  # type: ignore[arg-type]

    def subnet(self, family: int = 4) -> str:
        """The id of its subnet of that family."""
        return next(each.id for each in self.network.subnets if (":" in each.cidr) == (family == 6))

    def api(self, **more: Any) -> httpx.Client:
        """A client of the API."""
        return httpx.Client(base_url=f"{self.url}/v2/lbaas/", timeout=30, trust_env=False, **more)

    def ask(self, method: str, path: str, body: object = None, status: int | None = None) -> Any:
        """Ask the API; the decoded answer. Fails for another status, or any error when none is named."""
        with self.api() as api:
            answer = api.request(method, path, json=body)
        good = answer.status_code == status if status else answer.is_success
        assert good, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def create(self, wish: dict[str, object]) -> dict[str, Any]:
        """A load balancer, once it is ACTIVE."""
        made = self.ask("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": self.subnet(), **wish}})
        return self.active(made["loadbalancer"]["id"])

    def active(self, id: str) -> dict[str, Any]:
        """The load balancer, once it is ACTIVE."""

        def look() -> Any:
            found = self.ask("GET", f"loadbalancers/{id}")["loadbalancer"]
            assert found["provisioning_status"] != "ERROR", self.ottava("why", id)
            return found if found["provisioning_status"] == "ACTIVE" else None

        return dict(eventually(look, f"load balancer {id} is not ACTIVE\n{self.words()[-5000:]}"))

    def gone(self, id: str) -> None:
        """Return when the load balancer is not there any more."""
        with self.api() as api:
            eventually(lambda: api.get(f"loadbalancers/{id}").status_code == 404, f"load balancer {id} stays")

    def sdk(self, user: tuple[str, str] | None = None) -> openstack.connection.Connection:
        """An unmodified openstacksdk, told nothing but the kind of authentication and where the API is."""
        auth: dict[str, str] = {"endpoint": self.url}
        if user:
            auth |= {"username": user[0], "password": user[1]}
        return openstack.connect(
            auth_type="http_basic" if user else "none",
            auth=auth,
            load_balancer_endpoint_override=f"{self.url}/v2.0",
            load_config=False,
        )


def children(pid: int) -> list[int]:
    """The processes below one."""
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [below for word in words for below in (int(word), *children(int(word)))]
