# SPDX-License-Identifier: Apache-2.0
"""Ottava and Octavia 19.0.0 side by side: the same requests, database server, number of workers and clients.

Both with providers, networks and hosts that do nothing, so that it is the API alone. Blocks of both alternate. Octavia
comes from the package index into .venv-octavia, an environment of its own (made at the first run).

To reach: 10 times its requests a second on show, create and member create, 30 times on the list of 1,000; the 99 % of
each no worse than its median; less than half its memory.
"""

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import clients
import stage
from clients import Request
from products import PORTS, Octavia, Ottava, Running, Tables, database, install_octavia, running, server
from support.keystone import keystone

PROJECT, OTHERS = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
SUBNET = "7b1c4d3e-52a5-4a0f-9c1f-0d9f7f0c7b11"
LOAD_BALANCERS, LISTED, PAGE, BATCH = 10_000, 1_000, 100, 200
BASE = "/v2/lbaas"


class Filled(NamedTuple):
    """What is in a product's database: ids of load balancers and pools, and the one with the large tree."""

    balancers: Sequence[str]
    pools: Sequence[str]
    tree: str
    project: str
    subnet: str


class Case(NamedTuple):
    """One kind of request, made for what is in the database and a number that no other request has."""

    name: str
    clients: int
    request: Callable[[Filled, int], Request]
    factor: float | None = None
    changes: bool = False


def _members(number: int, count: int) -> list[dict[str, object]]:
    return [
        {"address": f"192.0.2.{each % 250 + 1}", "protocol_port": number % 60_000 + 1 + each} for each in range(count)
    ]


def _pool(name: str, members: int) -> dict[str, object]:
    pool: dict[str, object] = {"name": name, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    monitor = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3}
    return {**pool, "members": _members(0, members), "healthmonitor": monitor} if members else pool


def _populated(name: str, subnet: str, listeners: int, members: int) -> dict[str, object]:
    """A load balancer with so many listeners, each with a pool, its members and a monitor."""
    ports = range(80, 80 + listeners)
    below = [{"name": f"l{port}", "protocol": "HTTP", "protocol_port": port} for port in ports]
    for each, port in zip(below, ports, strict=True):
        each["default_pool"] = _pool(f"p{port}", members)
    return {"loadbalancer": {"name": name, "vip_subnet_id": subnet, "listeners": below}}


CASES = (
    Case(
        "create", 4,
        lambda it, _: Request("POST", f"{BASE}/loadbalancers", 201, {
            "loadbalancer": {"name": "new", "vip_subnet_id": it.subnet},
        }), 10,
    ),
    Case(
        "fully-populated create", 4,
        lambda it, _: Request("POST", f"{BASE}/loadbalancers", 201, _populated("new", it.subnet, 2, 3)),
    ),
    Case(
        "show", 4,
        lambda it, number: Request("GET", f"{BASE}/loadbalancers/{it.balancers[number % len(it.balancers)]}", 200), 10,
    ),
    Case(
        f"list of {LISTED}", 1,
        lambda it, _: Request("GET", f"{BASE}/loadbalancers?project_id={it.project}&name=listed", 200), 30,
    ),
    Case(
        f"page of {PAGE} among {LOAD_BALANCERS}", 4,
        lambda it, number: Request(
            "GET", f"{BASE}/loadbalancers?admin_state_up=true&limit={PAGE}&marker={it.balancers[-1 - number % 1000]}", 200
        ),
    ),
    Case("status tree", 4, lambda it, _: Request("GET", f"{BASE}/loadbalancers/{it.tree}/status", 200)),
    Case(
        "member create", 4,
        lambda it, number: Request("POST", f"{BASE}/pools/{it.pools[number % len(it.pools)]}/members", 201, {
            "member": _members(number, 1)[0],
        }), 10, changes=True,
    ),
    Case(
        f"batch of {BATCH} members", 4,
        lambda it, number: Request("PUT", f"{BASE}/pools/{it.pools[-1 - number % len(it.pools)]}/members", 202, {
            "members": _members(number, BATCH),
        }), changes=True,
    ),
)  # fmt: skip


class Contestant:
    """A product that runs and has been filled; what it has shown, by case."""

    def __init__(self, running: Running, tables: Tables, filled: Filled) -> None:
        self.running, self._tables, self.filled = running, tables, filled
        self.memory = 0.0
        self._next: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._cpu: dict[str, float] = {}
        self._latencies: dict[str, list[float]] = {}

    def block(self, case: Case, seconds: float) -> None:
        """Load it for a while."""
        first = self._next.get(case.name, 0)
        before = self.running.cpu()
        measured = clients.load(
            self.running.port, self.running.headers, lambda number: case.request(self.filled, number), case.clients,
            first, seconds,
        )  # fmt: skip
        self._cpu[case.name] = self._cpu.get(case.name, 0) + self.running.cpu() - before
        self._seconds[case.name] = self._seconds.get(case.name, 0) + measured.seconds
        self._latencies.setdefault(case.name, []).extend(measured.latencies)
        self._next[case.name] = first + (len(measured.latencies) + case.clients) * case.clients
        self.memory = max(self.memory, self.running.memory())
        if case.changes and self.running.product.locks:
            self._tables.activate()

    def figures(self, case: Case) -> "Figures":
        """All blocks of a case together."""
        latencies = sorted(self._latencies[case.name])
        return Figures(
            len(latencies) / self._seconds[case.name],
            stage.median(latencies) * 1000,
            latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)] * 1000,
            self._cpu[case.name] / len(latencies) * 1000,
        )


class Figures(NamedTuple):
    """Requests a second; milliseconds: median, 99 %, and of the CPU for each request."""

    rate: float
    median: float
    worst: float
    cpu: float


def _fill(one: Running, tables: Tables, subnet: str) -> Filled:
    """One load balancer with a listener and a pool, many times; and one with a large tree."""
    model = one.ask("POST", "loadbalancers", _populated("model", subnet, 1, 0))["loadbalancer"]
    tree = one.ask("POST", "loadbalancers", _populated("tree", subnet, 5, 10))["loadbalancer"]
    project = model["project_id"]
    copies = [("listed", project)] * LISTED + [("other", OTHERS)] * (LOAD_BALANCERS - LISTED)
    made = tables.multiply(model, copies)
    tables.activate()
    tables.analyse()
    listed = len(one.ask("GET", f"loadbalancers?project_id={project}&name=listed")["loadbalancers"])
    if listed != LISTED:
        raise RuntimeError(f"{one.product.name} lists {listed} load balancers")
    pool = model["pools"][0]["id"]
    return Filled([each[model["id"]] for each in made], [each[pool] for each in made], tree["id"], project, subnet)


class Identity(NamedTuple):
    """How clients say who they are, and the options by which a product finds it out."""

    headers: Mapping[str, str]
    options: Mapping[str, Mapping[str, object]]


@contextlib.contextmanager
def _identity(auth: str) -> Iterator[Identity]:
    """Nobody asks, or a Keystone of the benchmark's own does."""
    if auth == "noauth":
        yield Identity({"X-Project-Id": PROJECT}, {})
        return
    with keystone() as cloud:
        service = {
            "auth_type": "password", "auth_url": cloud.url, "www_authenticate_uri": cloud.url,
            "username": cloud.admin.name, "password": cloud.admin.password, "user_domain_id": "default",
            "project_id": cloud.admin.project.id if cloud.admin.project else "",
        }  # fmt: skip
        options = {"api": {"auth_strategy": "keystone"}, "keystone_authtoken": service}
        yield Identity({"X-Auth-Token": cloud.token(cloud.admin)}, options)


@contextlib.contextmanager
def _contestants(auth: str, workers: int) -> Iterator[list[Contestant]]:
    """Both, running and filled."""
    install_octavia()
    folder = Path(tempfile.mkdtemp(prefix="ottava-bench-", dir="/dev/shm"))
    found = []
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(PORTS.unlink, missing_ok=True)
        identity = stack.enter_context(_identity(auth))
        shared = stack.enter_context(server())
        for make in (Octavia, Ottava):
            url = database(shared, make.__name__.lower())
            product = make(folder, url, workers, identity.options)
            stage.say(f"{product.name}: tables")
            product.prepare()
            one = stack.enter_context(running(product, product.port, identity.headers))
            stage.say(f"{product.name}: {LOAD_BALANCERS} load balancers")
            tables = Tables(url)
            found.append(Contestant(one, tables, _fill(one, tables, product.subnet)))
        yield found


def _print(title: str, octavia: Contestant, ottava: Contestant, cases: Sequence[Case]) -> None:
    rows: list[Sequence[Any]] = []
    for case in cases:
        theirs, ours = octavia.figures(case), ottava.figures(case)
        ratio = ours.rate / theirs.rate
        missed = [] if case.factor is None or ratio >= case.factor else [f"x {case.factor:.0f}"]
        missed += [] if ours.worst <= theirs.median else ["99 %"]
        rows.append((case.name, *theirs, *ours, ratio, theirs.cpu / ours.cpu, ", ".join(missed)))
    heads = ("requests/s", "median ms", "99 % ms", "CPU ms")
    head = ["request", *(f"{name} {each}" for name in ("Octavia", "Ottava") for each in heads)]
    stage.table(title, (*head, "x requests/s", "x CPU", "missed"), rows)
    ratio = octavia.memory / ottava.memory
    stage.table(
        "Memory of all processes", ("Octavia MiB", "Ottava MiB", "ratio"), [(octavia.memory, ottava.memory, ratio)]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--auth", choices=("noauth", "keystone"), nargs="+", default=["noauth", "keystone"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each block")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    asked = parser.parse_args()
    cases = [case for case in CASES if asked.only in case.name]
    for auth in asked.auth:
        with _contestants(auth, asked.workers) as (octavia, ottava):
            for number in range(asked.rounds):
                for case in cases:
                    stage.say(f"{auth}, round {number + 1} of {asked.rounds}: {case.name}")
                    for each in (octavia, ottava):
                        each.block(case, asked.seconds)
            _print(f"MariaDB, {auth}, workers: {asked.workers} each", octavia, ottava, cases)


if __name__ == "__main__":
    main()
