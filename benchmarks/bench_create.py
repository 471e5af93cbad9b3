# SPDX-License-Identifier: Apache-2.0
"""From the single-call create to the first 200 through the VIP, against the plumbing alone (plumbing.py).

To reach: a median of at most 3 times the bare limit, and never above 1 s.
Run as root: `python benchmarks/bench_create.py [ROUNDS]` (200 by default).
"""

import contextlib
import http.client
import json
import socket
import sys
import time

import plumbing
import stage
from support.machine import Machine


def _first_answer(address: str, deadline: float) -> None:
    """Ask until the VIP answers 200.

    An attempt that meets nobody is given up after 20 ms: a SYN that was sent before the VIP existed is lost, and the
    kernel would send it again only after a second, which says nothing about when the VIP serves.
    """
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=0.02) as connection:
            connection.settimeout(5)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            if connection.recv(64).startswith(b"HTTP/1.1 200"):
                return
        if time.perf_counter() > deadline:
            raise TimeoutError("no 200 through the VIP")
        time.sleep(0.0005)


def create(machine: Machine, api: http.client.HTTPConnection, wish: dict[str, object]) -> tuple[float, float, str]:
    """Milliseconds to the API's answer and to the first 200, and the id."""
    body = json.dumps({"loadbalancer": {**wish, "vip_subnet_id": machine.subnet()}})
    start = time.perf_counter()
    api.request("POST", "/v2/lbaas/loadbalancers", body, {"Content-Type": "application/json"})
    answer = api.getresponse()
    text = answer.read()
    answered = time.perf_counter()
    if answer.status != 201:
        raise RuntimeError(text.decode())
    made = json.loads(text)["loadbalancer"]
    _first_answer(made["vip_address"], start + 30)
    return (answered - start) * 1000, (time.perf_counter() - start) * 1000, made["id"]


def main() -> None:
    """Measure, alternating blocks of both, and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    limits, answers, totals = [], [], []
    with stage.ottava() as machine, stage.members(machine) as members:
        wish = stage.wish([members("a"), members("b")])
        api = http.client.HTTPConnection("127.0.0.1", machine.api_port)
        blocks = 10
        for _ in range(blocks):
            limits += plumbing.bare_limit(max(3, 30 // blocks))
            for _ in range(max(1, rounds // blocks)):
                answered, total, id = create(machine, api, wish)
                answers.append(answered)
                totals.append(total)
                machine.active(id)
                machine.ask("DELETE", f"loadbalancers/{id}?cascade=true")
                machine.gone(id)
    limit = stage.median(limits)
    stage.table(
        f"Create to first 200 through the VIP ({len(totals)} load balancers)",
        ("what", "median ms", "worst ms", "median / limit"),
        [
            ("bare limit: plain netlink and HAProxy", limit, max(limits), 1.0),
            ("the API's answer", stage.median(answers), max(answers), stage.median(answers) / limit),
            ("first 200", stage.median(totals), max(totals), stage.median(totals) / limit),
        ],
    )


if __name__ == "__main__":
    main()
