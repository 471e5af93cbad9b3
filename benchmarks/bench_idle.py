# SPDX-License-Identifier: Apache-2.0
"""What 200 idle load balancers cost on one host, and how long it takes to create them all.

The limit measured in the same run: the same number of plain HAProxy processes with a configuration of the same kind.
Run as root: `python benchmarks/bench_idle.py [NUMBER]` (200 by default).
"""

import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import stage
from support.machine import Machine, eventually

from ottava.agent import namespaces, processes

TAG = "tpi"

_PLAIN = """global
  httpclient.ssl.verify none
  stats socket {folder}/{number}.sock
defaults
  mode http
  timeout client 50s
  timeout server 50s
  timeout connect 5s
frontend vip
  bind :{port}
  default_backend pool
backend pool
  server a 127.0.0.1:9 check inter 5s
"""


def memory(pids: list[int]) -> float:
    """Proportional share of memory of the processes, in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def seconds_of_cpu(pids: list[int]) -> float:
    """Processor time used so far by the processes."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def plain(number: int) -> float:
    """MiB of one of `number` plain HAProxy processes."""
    folder, namespace = Path(tempfile.mkdtemp(prefix="ottava-bench-")), f"{TAG}-plain"
    pids = []
    namespaces.ensure(namespace)
    try:
        for each in range(number):
            config = folder / f"{each}.cfg"
            config.write_text(_PLAIN.format(folder=folder, number=each, port=20000 + each))
            pids.append(processes.start_haproxy(namespace, "haproxy", config, folder / f"{each}.pid"))
        return memory(pids) / number
    finally:
        for pid in pids:
            processes.stop(pid, 0)
        namespaces.delete(namespace)
        shutil.rmtree(folder)


def _family(machine: Machine) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for each in machine.running():
        children = Path(f"/proc/{each.pid}/task/{each.pid}/children").read_text().split()
        found[each.role] = [each.pid, *([] if each.role == "up" else map(int, children))]
    return found


def main() -> None:
    """Measure and print."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    more = {"agent": {"heartbeat_interval": 10}}
    with stage.ottava(more) as machine, stage.members(machine) as members:
        wish = stage.wish([members("a"), members("b")])
        wish["vip_subnet_id"] = machine.subnet(6)
        before = {role: memory(pids) for role, pids in _family(machine).items()}
        start = time.perf_counter()
        with machine.api() as api, ThreadPoolExecutor(4) as pool:

            def one(each: int) -> None:
                answer = api.post("loadbalancers", json={"loadbalancer": {**wish, "name": f"idle-{each}"}})
                assert answer.status_code == 201, answer.text

            list(pool.map(one, range(number)))
            accepted = time.perf_counter() - start
            query = f"loadbalancers?provisioning_status=ACTIVE&limit={number}"
            eventually(lambda: len(api.get(query).json()["loadbalancers"]) == number, "not all are ACTIVE", 300)
        created = time.perf_counter() - start
        proxies = [pid for several in processes.everything(machine.run_dir).values() for pid in several]
        time.sleep(20)
        family = _family(machine)
        everyone = [pid for pids in family.values() for pid in pids]
        used, proxies_used = seconds_of_cpu(everyone), seconds_of_cpu(proxies)
        time.sleep(20)
        idle = (seconds_of_cpu(everyone) - used) / 20 * 100
        proxies_idle = (seconds_of_cpu(proxies) - proxies_used) / 20 * 100
        each = memory(proxies) / number
        limit = plain(min(number, 200))
        rows = [
            ("plain HAProxy processes", limit, 1.0, ""),
            ("proxies of Ottava", each, each / limit, f"{proxies_idle:.1f} % of a core together"),
        ]
        stage.table(f"{number} idle load balancers", ("what", "MiB for each", "ratio", "idle"), rows)
        rows2 = [(role, before.get(role, 0.0), memory(pids)) for role, pids in family.items()]
        stage.table("Processes of Ottava", ("process", "MiB before", f"MiB with {number}"), rows2)
        print(
            f"\n{len(proxies)} proxies for {number} load balancers; Ottava's own processes idle at {idle:.1f} % of a core"
        )
        print(f"{number} creates accepted in {accepted:.1f} s, all ACTIVE after {created:.1f} s")


if __name__ == "__main__":
    main()
