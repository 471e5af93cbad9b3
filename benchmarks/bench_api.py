# SPDX-License-Identifier: Apache-2.0
"""The API alone, with one worker on SQLite: create, show, and list of 1,000 load balancers.

The limit measured in the same run: an empty application behind the same server.
Run as root: `python benchmarks/bench_api.py [LOAD BALANCERS]` (1,000 by default). Needs wrk.
"""

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import stage
from support.machine import BIN, Machine, eventually
from support.slots import free_ports, slot

_EMPTY = """
def app(environ, start):
    start("200 OK", [("Content-Type", "application/json")])
    return [b'{"loadbalancer": {}}']
"""


@contextlib.contextmanager
def _api() -> Iterator[Machine]:
    """`ottava api` alone: nobody carries anything out."""
    with slot() as mine:
        more = {"api": {"workers": 1}, "local_network": {"network": f"lan 198.18.0.0/16 {mine.ipv6}"}}
        machine = Machine(mine, more)
        machine.ottava("db", "upgrade")
        process = subprocess.Popen(machine.command("api"), stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _answers(machine.api_port))
            yield machine
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _empty() -> Iterator[int]:
    folder = tempfile.mkdtemp(prefix="ottava-bench-")
    (Path(folder) / "empty.py").write_text(_EMPTY)
    (port,) = free_ports(1)
    command = [str(BIN / "granian"), "--interface", "wsgi", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--blocking-threads", "1", "--no-ws", "empty:app"], cwd=folder, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: _answers(port))
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _creates(machine: Machine, number: int, threads: int) -> tuple[float, float, float]:
    """Creates a second, median and 99 % in milliseconds."""
    body = json.dumps({"loadbalancer": {"vip_subnet_id": machine.subnet(), "name": "bench"}})
    figures: list[float] = []

    def run() -> None:
        api = http.client.HTTPConnection("127.0.0.1", machine.api_port)
        for _ in range(number // threads):
            start = time.perf_counter()
            api.request("POST", "/v2/lbaas/loadbalancers", body, {"Content-Type": "application/json"})
            answer = api.getresponse()
            text = answer.read()
            if answer.status != 201:
                raise RuntimeError(text.decode())
            figures.append((time.perf_counter() - start) * 1000)

    start = time.perf_counter()
    running = [threading.Thread(target=run) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    figures.sort()
    return len(figures) / (time.perf_counter() - start), stage.median(figures), figures[len(figures) * 99 // 100]


def main() -> None:
    """Measure and print."""
    stage.need_root()
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with _empty() as port:
        limit = stage.wrk(f"http://127.0.0.1:{port}/", connections=4)
    with _api() as machine:
        rows: list[tuple[str, float, float, float, float]] = [("limit: an empty application", *limit, 1.0)]
        figures = _creates(machine, number, 4)
        rows.append(("create, 4 clients", *figures, figures[0] / limit[0]))
        one = machine.ask("GET", "loadbalancers?limit=1")["loadbalancers"][0]["id"]
        base = f"{machine.url}/v2/lbaas/loadbalancers"
        for name, url, clients in (
            ("show, 1 client", f"{base}/{one}", 1),
            ("show, 4 clients", f"{base}/{one}", 4),
            (f"list of {number}, 1 client", base, 1),
            ("page of 100, 1 client", f"{base}?limit=100", 1),
        ):
            figures = stage.wrk(url, connections=clients)
            rows.append((name, *figures, figures[0] / limit[0]))
    stage.table("The API, one worker", ("request", "requests/s", "median ms", "99 % ms", "ratio"), rows)


if __name__ == "__main__":
    main()
