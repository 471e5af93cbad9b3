# SPDX-License-Identifier: Apache-2.0
"""How long `ottava up` takes to be ready: the API answers, and the host was heard of.

To reach: at most 3 s. The limit measured in the same run: four Python processes, started together, that only import
what the four processes of Ottava import. Run as root: `python benchmarks/bench_up.py [ROUNDS]` (5 by default).
"""

import subprocess
import sys
import time

import stage

ROLES = ("ottava.api.app", "ottava.controller.worker", "ottava.health.receive", "ottava.agent.main")


def imports() -> float:
    """Seconds until four interpreters have imported the four processes' modules, beside each other."""
    start = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-c", f"import {name}"]) for name in ROLES]
    if any(process.wait() for process in running):
        raise RuntimeError("a module cannot be imported")
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    limits, again = [], []
    with stage.ottava() as machine:
        for _ in range(rounds):
            machine.stop()
            limits.append(imports())
            start = time.perf_counter()
            machine.up()
            again.append(time.perf_counter() - start)
    first = []
    for _ in range(3):
        start = time.perf_counter()
        with stage.ottava():
            first.append(time.perf_counter() - start)
    limit = stage.median(limits)
    stage.table(
        "ottava up until it is ready",
        ("what", "median s", "worst s", "ratio"),
        [
            ("limit: imports alone", limit, max(limits), 1.0),
            ("first start (database, certificates)", stage.median(first), max(first), stage.median(first) / limit),
            ("later starts", stage.median(again), max(again), stage.median(again) / limit),
        ],
    )


if __name__ == "__main__":
    main()
