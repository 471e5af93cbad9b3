# SPDX-License-Identifier: Apache-2.0
"""A database that is stopped, started, killed and started again under a stream of creations.

What was answered is there afterwards; meanwhile the answer is 503; and every process goes on by itself.
"""

import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from support import databases, servers
from support.machine import BIN, children, eventually
from support.slots import free_ports

from ottava import pki
from ottava.cloud.network.local import LocalNetwork
from ottava.store import engine as engines
from ottava.store import work
from ottava.wire.heartbeat import Facts, Heartbeat

NETWORK = "lan 198.18.0.0/16"
SUBNET = LocalNetwork([NETWORK], None).networks()[0].subnets[0].id  # type: ignore[arg-type]
ROLES = ("api", "controller", "health")
MANY = 15


class Ottava:
    """The processes that use the database, each started once."""

    def __init__(self, folder: Path, url: str) -> None:
        self.state = folder / "state"
        api, health = free_ports(2)
        self.health = f"https://127.0.0.1:{health}/v1/heartbeats"
        self.config = folder / "ottava.conf"
        self.config.write_text(
            f"[DEFAULT]\nstate_dir = {self.state}\nrun_dir = {folder}/run\n[database]\nconnection = {url}\n"
            f"[api]\nbind_port = {api}\nworkers = 2\n[health]\nbind_port = {health}\nhost_timeout = 5\n"
            f"[controller]\nretry_cap = 1\n[local_network]\nnetwork = {NETWORK}\n"
        )
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.processes = {
                role: subprocess.Popen([BIN / "ottava", role, "--config-file", self.config], stderr=log)
                for role in ROLES
            }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{api}/v2/lbaas/", timeout=60, trust_env=False)
        self.sequence = 0

    def ready(self) -> bool:
        """Whether it answers, in order."""
        try:
            return self.client.get("loadbalancers?limit=1").status_code == 200 and self.beat() == 200
        except (httpx.TransportError, OSError):
            return False

    def create(self) -> httpx.Response:
        """Ask for a load balancer."""
        return self.client.post("loadbalancers", json={"loadbalancer": {"vip_subnet_id": SUBNET}})

    def beat(self) -> int:
        """Send a heartbeat; the status of the answer."""
        self.sequence += 1
        folder = pki.directory(self.state)
        mine = pki.ensure(folder, "agent-h", pki.agent("h"))
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(mine.certificate, mine.key)
        beat = Heartbeat(
            host="h", url="https://h.invalid:9443", started=1.0, sequence=self.sequence, facts=Facts(hostname="h")
        )
        return httpx.post(self.health, content=msgspec.json.encode(beat), verify=context, trust_env=False).status_code

    def pids(self) -> set[int]:
        """Of the processes and of the workers below them."""
        return {pid for each in self.processes.values() for pid in (each.pid, *children(each.pid))}

    def end(self) -> None:
        """Stop everything."""
        for each in self.processes.values():
            each.terminate()
        for each in self.processes.values():
            each.wait(60)


class Stream:
    """Threads that create load balancers without a break, and remember what was answered."""

    def __init__(self, ottava: Ottava) -> None:
        self.answers: list[httpx.Response] = []
        self._ottava = ottava
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._ottava.create()
            self.answers.append(answer)
            if answer.status_code != 201:
                time.sleep(0.05)

    def until(self, status: int) -> None:
        """Wait for a number of new answers of this status."""
        begin = len(self.answers)
        eventually(lambda: sum(each.status_code == status for each in self.answers[begin:]) >= MANY)

    def end(self) -> list[httpx.Response]:
        """Stop; all answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.answers


@pytest.fixture(params=servers.SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    server = servers.SERVERS[request.param]()
    server.start()
    yield server
    server.remove()


def test_what_was_answered_survives_and_everything_goes_on(server: servers.Server, tmp_path: Path) -> None:
    with databases.empty(server.kind, tmp_path, on=server) as url:
        ottava = Ottava(tmp_path, url)
        try:
            eventually(ottava.ready, f"not ready: {ottava.log.read_text()}")
            before = ottava.pids()
            stream = Stream(ottava)
            stream.until(201)
            for end in (server.stop, server.kill):
                end()
                stream.until(503)
                assert ottava.beat() == 503
                server.start()
                stream.until(201)
            answers = stream.end()
            created = {each.json()["loadbalancer"]["id"] for each in answers if each.status_code == 201}
            failed = [each for each in answers if each.status_code != 201]
            assert Counter(each.status_code for each in failed).keys() == {503}, {each.text for each in failed}
            assert all(int(each.headers["Retry-After"]) > 0 and each.json()["faultstring"] for each in failed)
            assert created <= listed(ottava)
            assert ottava.beat() == 200
            assert_controllers_work(url, ottava.create().json()["loadbalancer"]["id"])
            assert ottava.pids() == before
            assert "Traceback" not in ottava.log.read_text()
        finally:
            ottava.end()


def listed(ottava: Ottava) -> set[str]:
    """The ids of all load balancers."""
    found: list[dict[str, Any]] = ottava.client.get("loadbalancers?limit=0&fields=id").json()["loadbalancers"]
    return {each["id"] for each in found}


def assert_controllers_work(url: str, id: str) -> None:
    """There is no host to place anything on: that was found out, for a load balancer that is new."""
    engine = engines.create_engine(url)

    def tried() -> bool:
        with engines.reading(engine) as conn:
            view = work.view(conn, id)
        return view is not None and view.attempts > 0

    eventually(tried, "no controller looks at it")
    engine.dispose()
