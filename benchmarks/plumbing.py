# SPDX-License-Identifier: Apache-2.0
"""The bare limit: from nothing to the first 200 through a VIP, with the plumbing alone.

A namespace, a veth pair, addresses, routes and an HAProxy in front of one web server, by plain netlink messages and
without API, database, controller or agent. Run as root: `python benchmarks/plumbing.py [ROUNDS]`.
"""

import contextlib
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ottava.agent import links, namespaces, processes, teardown
from ottava.wire.desired import Bridge, Interface

TAG = "tpb"
BRIDGE = Bridge(f"{TAG}-b00000001", ("198.18.46.1/24", "fd00:0:0:77:32:4600::1/96"))
VIP, WEB = "198.18.46.5", "198.18.46.2"

_SERVER = """global
  httpclient.ssl.verify none
defaults
  mode http
  timeout client 5s
frontend web
  bind {web}:80
  http-request return status 200 content-type text/plain string hello
"""

_BALANCER = """global
  httpclient.ssl.verify none
  stats socket {run}/haproxy.sock level admin expose-fd listeners
  hard-stop-after 10s
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend vip
  bind {vip}:80
  default_backend pool
backend pool
  server web {web}:80
"""


def _interface(address: str) -> Interface:
    mac = "02:00:00:00:46:" + address.rpartition(".")[2].zfill(2)
    return Interface("net0", mac, BRIDGE, (f"{address}/24",), ("198.18.46.1",))


def _first_answer(deadline: float) -> None:
    """Ask the VIP until it answers 200."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection((VIP, 80), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if connection.recv(64).startswith((b"HTTP/1.0 200", b"HTTP/1.1 200")):
                return
        if time.perf_counter() > deadline:
            raise TimeoutError("no 200 through the VIP")
        time.sleep(0.0005)


def _serve(name: str, address: str, text: str, run: Path, marks: list[float]) -> int:
    """Namespace, interface and HAProxy; notes the time after each."""
    (run / f"{name}.cfg").write_text(text)
    namespaces.ensure(name)
    marks.append(time.perf_counter())
    links.ensure_interface(TAG, name, _interface(address))
    marks.append(time.perf_counter())
    links.announce(name, _interface(address))
    marks.append(time.perf_counter())
    pid = processes.start_haproxy(name, "haproxy", run / f"{name}.cfg", run / f"{name}.pid")
    marks.append(time.perf_counter())
    return pid


def _remove(name: str, pid: int) -> None:
    processes.stop(pid, 0)
    links.prune_interfaces(name, set())
    namespaces.delete(name)


@contextlib.contextmanager
def _stage() -> Iterator[Path]:
    """A bridge with a web server on it, in a namespace of its own; a directory for what runs."""
    run = Path(tempfile.mkdtemp(prefix="ottava-bench-"))
    teardown.sweep(TAG, run)
    try:
        links.ensure_bridge(BRIDGE)
        _serve(f"{TAG}-web", WEB, _SERVER.format(web=WEB), run, [])
        yield run
    finally:
        teardown.sweep(TAG, run)
        shutil.rmtree(run)


def stages(rounds: int) -> list[list[float]]:
    """Of each round, the milliseconds at the end of: namespace, interface, announcement, HAProxy, first 200."""
    figures = []
    with _stage() as run:
        for number in range(rounds + 1):
            name = f"{TAG}-{number}"
            start, marks = time.perf_counter(), list[float]()
            pid = _serve(name, VIP, _BALANCER.format(run=run, vip=VIP, web=WEB), run, marks)
            _first_answer(start + 10)
            marks.append(time.perf_counter())
            figures.append([(mark - start) * 1000 for mark in marks])
            _remove(name, pid)
            time.sleep(0.05)  # the kernel clears a namespace in the background: not the next round's cost
    return figures[1:]


def bare_limit(rounds: int = 21) -> list[float]:
    """Milliseconds from nothing to the first 200 through the VIP, of each round. Needs root."""
    return [marks[-1] for marks in stages(rounds)]


def main() -> None:
    """Print the best, the median, the worst, and where the time goes."""
    if os.geteuid() != 0:
        sys.exit("This makes network namespaces: run it as root.")
    figures = stages(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
    print(f"{'until the end of':<16} {'best ms':>10} {'median ms':>10} {'worst ms':>10}")
    for name, column in zip(
        ("namespace", "interface", "announcement", "haproxy", "first 200"), zip(*figures, strict=True), strict=True
    ):
        print(f"{name:<16} {min(column):>10.1f} {statistics.median(column):>10.1f} {max(column):>10.1f}")


if __name__ == "__main__":
    main()
