# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a whole Ottava of their own, fast members, load from processes beside, tables."""

import contextlib
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.machine import Machine
from support.members import HTTP_PORT, Member, Members
from support.slots import slot

from ottava.agent import namespaces, processes

_MEMBER = """global
  httpclient.ssl.verify none
  nbthread 1
defaults
  mode http
  timeout client 60s
frontend web
  bind :::{port} v4v6
  http-request return status 200 content-type text/plain string {name}
"""


def need_root() -> None:
    """End with a sentence unless this is root."""
    if os.geteuid() != 0:
        sys.exit("This makes network namespaces: run it as root.")


@contextlib.contextmanager
def ottava(more: Mapping[str, Mapping[str, object]] | None = None) -> Iterator[Machine]:
    """A whole Ottava that runs, with directories, a tag and a range of its own; nothing is left of it."""
    need_root()
    with slot() as mine:
        machine = Machine(mine, more)
        try:
            machine.up()
            yield machine
        finally:
            machine.down()


class FastMembers(Members):
    """Members whose server is an HAProxy, so that it is never the member that is measured."""

    def __call__(self, name: str) -> Member:
        if name not in self._made:
            member = self._make(name, 200 + len(self._made))
            folder = Path(tempfile.mkdtemp(prefix="ottava-bench-"))
            text = _MEMBER.format(port=HTTP_PORT, name=name)
            (folder / "haproxy.cfg").write_text(text)
            processes.start_haproxy(member.namespace, "haproxy", folder / "haproxy.cfg", folder / "pid")
            self._folders.append((member.namespace, folder))
            self._made[name] = member
        return self._made[name]

    _folders: list[tuple[str, Path]]

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.slot.tag, machine.network)
        self._folders = []

    def close(self) -> None:
        """End the servers and remove their namespaces."""
        for namespace, folder in self._folders:
            pid = processes.running(folder / "pid", namespace)
            if pid:
                processes.stop(pid, 0)
            shutil.rmtree(folder)
        for member in self._made.values():
            namespaces.delete(member.namespace)


@contextlib.contextmanager
def members(machine: Machine) -> Iterator[FastMembers]:
    """Fast members on the network of `machine`."""
    found = FastMembers(machine)
    try:
        yield found
    finally:
        found.close()


def wish(members: Sequence[Member], name: str = "bench", port: int = 80) -> dict[str, object]:
    """A fully-populated load balancer: HTTP over `members`."""
    below = [{"address": each.address, "protocol_port": each.port, "name": each.name} for each in members]
    pool = {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": below}
    return {
        "name": name,
        "listeners": [{"protocol": "HTTP", "protocol_port": port, "default_pool": {"name": "pool"}}],
        "pools": [pool],
    }


# ---- load


def _read(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("closed before the answer")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head.split(b"\r\n")[0].decode())
    length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))  # type: ignore[union-attr]
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("closed within the answer")
        body += piece
    return body.decode()


def _load(address: tuple[str, int], keep_alive: bool, pause: float, pipe: Connection) -> None:
    """Ask one request after another until the pipe says stop, then send back all answers."""
    close = b"" if keep_alive else b"Connection: close\r\n"
    request = b"GET / HTTP/1.1\r\nHost: bench\r\n" + close + b"\r\n"
    answers: list[tuple[float, str]] = []
    connection: socket.socket | None = None
    while not pipe.poll():
        try:
            if connection is None:
                connection = socket.create_connection(address, timeout=10)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            answers.append((time.monotonic(), _read(connection)))
        except OSError as error:
            answers.append((time.monotonic(), f"!{error}"))
            good = False
        else:
            good = True
        if connection is not None and not (good and keep_alive):
            connection.close()
            connection = None
        if pause:
            time.sleep(pause)
    pipe.send(answers)


class Load:
    """Requests one after another from processes of their own, half of them keeping connections alive.

    After the `with` block, `answers` holds (time on the monotonic clock, who answered) in order; failures begin with "!".
    """

    def __init__(self, address: str, port: int = 80, clients: int = 4, pause: float = 0.0) -> None:
        self.answers: list[tuple[float, str]] = []
        context = multiprocessing.get_context("fork")
        self._pipes, self._processes = [], []
        for number in range(clients):
            mine, theirs = context.Pipe()
            self._pipes.append(mine)
            arguments = ((address, port), bool(number % 2), pause, theirs)
            self._processes.append(context.Process(target=_load, args=arguments, daemon=True))

    def __enter__(self) -> "Load":
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.send("stop")
        for pipe in self._pipes:
            self.answers += pipe.recv()
        for process in self._processes:
            process.join()
        self.answers.sort()

    @property
    def failures(self) -> list[str]:
        """What went wrong."""
        return [who for _, who in self.answers if who.startswith("!")]


def wrk(url: str, seconds: int = 4, connections: int = 32, threads: int = 1) -> tuple[float, float, float]:
    """Requests a second, median and 99 % latency in milliseconds, by the `wrk` of Debian."""
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    done = subprocess.run(
        ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}", "--latency", url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(done.stdout)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))  # type: ignore[union-attr]
    return rate, _milliseconds(done.stdout, "50%"), _milliseconds(done.stdout, "99%")


def _milliseconds(text: str, name: str) -> float:
    found = re.search(rf"{name}\s+([\d.]+)(us|ms|s)", text)
    assert found
    return float(found.group(1)) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found.group(2)]


# ---- words and tables


def say(words: str) -> None:
    """Tell how far it is, where it does not get into the tables."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def median(figures: Sequence[float]) -> float:
    """The median."""
    return statistics.median(figures)


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(f"{each:.2f}" if isinstance(each, float) else str(each) for each in row) + " |")
    sys.stdout.flush()
