# SPDX-License-Identifier: Apache-2.0
"""What grows with the number of load balancers in the database, and what does not, on each kind of database.

The API in this process, without authentication; each load balancer has a listener, a pool, a member and a health monitor.
Run as `python benchmarks/bench_large.py [MANY]` (100000 by default); it takes some minutes and 3 GB below /tmp.
"""

import contextlib
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import falcon.testing

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support import databases, many

from ottava import options
from ottava.api.app import create_app
from ottava.cloud.network.local import LocalNetwork
from ottava.store import engine as engines
from ottava.store.addresses import Addresses
from ottava.store.wakeup import Wakeup

FEW = 1000
ROUNDS = 30
NETWORK = "lan 198.18.0.0/16"
TREE = {
    "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"}}],
    "pools": [{
        "name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN",
        "members": [{"address": "198.18.0.9", "protocol_port": 80}],
        "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 2, "max_retries": 3},
    }],
}  # fmt: skip


class Large:
    """An API on a database with `number` load balancers."""

    def __init__(self, url: str, folder: Path, number: int) -> None:
        conf = options.load(overrides={("DEFAULT", "state_dir"): str(folder), ("DEFAULT", "run_dir"): str(folder)})
        self.engine = engines.create_engine(url)
        network = LocalNetwork([NETWORK], Addresses(self.engine))
        self.subnet = network.networks()[0].subnets[0].id
        self.client = falcon.testing.TestClient(create_app(conf, self.engine, network, Wakeup(folder)))
        made = self.ask(
            "POST", "loadbalancers", {"name": "web", "project_id": "busy", "vip_subnet_id": self.subnet, **TREE}
        )
        self.seed = made["loadbalancer"]["id"]
        self.pool = made["loadbalancer"]["pools"][0]["id"]
        with engines.writing(self.engine) as conn:
            many.copy(conn, number - 1)
        self.middle = f"{number // 2:08x}{self.seed[8:]}"
        for _ in range(200):
            mine = self.ask("POST", "loadbalancers", {"project_id": "small", "vip_subnet_id": self.subnet})
        self.mine = mine["loadbalancer"]["id"]

    def ask(self, method: str, path: str, body: object = None) -> dict[str, dict[str, str]]:
        """One request, which must succeed."""
        kind = {"loadbalancers": "loadbalancer"}.get(path, "member")
        sent = {"json": {kind: body}} if body is not None else {}
        path, _, query = path.partition("?")
        answer = self.client.simulate_request(method, f"/v2/lbaas/{path}", query_string=query or None, **sent)
        assert answer.status_code < 300, answer.text
        return answer.json if answer.content else {}

    def create(self) -> None:
        """One load balancer."""
        self.ask("POST", "loadbalancers", {"project_id": "small", "vip_subnet_id": self.subnet})

    def create_member(self) -> None:
        """One member."""
        body = {"address": f"2001:db8::{uuid.uuid4().hex[:4]}", "protocol_port": int(time.time() * 1e6) % 65000 + 1}
        self.ask("POST", f"pools/{self.pool}/members", body)

    def jobs(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """What is measured, in words."""
        paths = {
            "show": f"loadbalancers/{self.middle}",
            "status tree": f"loadbalancers/{self.middle}/status",
            "first page of 100": "loadbalancers?limit=100",
            "page of 100 in the middle": f"loadbalancers?limit=100&marker={self.middle}",
            "the same, newest first": f"loadbalancers?limit=100&sort=created_at:desc&marker={self.middle}",
            "the same, by name": f"loadbalancers?limit=100&sort=name&marker={self.middle}",
            "the same, by address": f"loadbalancers?limit=100&sort=vip_address&marker={self.middle}",
            "page of 100 in a project of 200": "loadbalancers?limit=100&project_id=small",
            "by name": "loadbalancers?name=web.000500",
            "by address": "loadbalancers?vip_address=198.18.255.254",
            "listeners of one": f"listeners?load_balancer_id={self.middle}",
        }
        for words, path in paths.items():
            yield words, lambda path=path: self.ask("GET", path)
        yield "create a load balancer", self.create
        yield "create a member", self.create_member


def milliseconds(job: Callable[[], object]) -> float:
    """The median."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        job()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[2:]) * 1000


@contextlib.contextmanager
def large(kind: str, number: int) -> Iterator[Large]:
    """On a database of its own."""
    with tempfile.TemporaryDirectory() as name, databases.upgraded(kind, Path(name)) as url:
        found = Large(url, Path(name), number)
        yield found
        found.engine.dispose()


def main() -> None:
    """Measure and print."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    figures: dict[str, list[float]] = {}
    for kind in databases.KINDS:
        for number in (FEW, most):
            with large(kind, number) as api:
                for words, job in api.jobs():
                    figures.setdefault(words, []).append(milliseconds(job))
    databases.stop()
    print(f"Median milliseconds with {FEW:,} and with {most:,} load balancers\n")
    print("| what | " + " | ".join(databases.KINDS) + " |")
    print("|---" * (len(databases.KINDS) + 1) + "|")
    for words, found in figures.items():
        pairs = [f"{few:.1f} / {lots:.1f}" for few, lots in zip(found[::2], found[1::2], strict=True)]
        print(f"| {words} | " + " | ".join(pairs) + " |")


if __name__ == "__main__":
    main()
