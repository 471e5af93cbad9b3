# SPDX-License-Identifier: Apache-2.0
"""Requests through the VIP, against a hand-written HAProxy configuration in the same namespace layout.

To reach: at least 0.95 of its throughput. Rounds alternate, so that drift of the machine meets both.
Run as root: `python benchmarks/bench_throughput.py [ROUNDS]` (7 by default). Needs wrk.
"""

import sys
import tempfile
from pathlib import Path

import stage

from ottava.agent import links, namespaces, processes
from ottava.wire.desired import Bridge, Interface

_BY_HAND = """global
  httpclient.ssl.verify none
  nbthread 2
  maxconn 4000
defaults
  mode http
  timeout client 50s
  timeout server 50s
  timeout connect 5s
frontend vip
  bind {vip}:80
  default_backend pool
backend pool
  balance roundrobin
{servers}
"""


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with stage.ottava() as machine, stage.members(machine) as members:
        both = [members("a"), members("b")]
        made = machine.create(stage.wish(both))
        vip, namespace = machine.slot.address(150), f"{machine.slot.tag}-hand"
        bridge = Bridge(machine.network.bridge, (f"{machine.slot.address(1)}/24",))
        namespaces.ensure(namespace)
        interface = Interface("net0", "02:00:00:00:01:50", bridge, (f"{vip}/24",), (machine.slot.address(1),))
        links.ensure_interface(machine.slot.tag, namespace, interface)
        folder = Path(tempfile.mkdtemp(prefix="ottava-bench-"))
        servers = "\n".join(f"  server {each.name} {each.address}:{each.port}" for each in both)
        (folder / "haproxy.cfg").write_text(_BY_HAND.format(vip=vip, servers=servers))
        pid = processes.start_haproxy(namespace, "haproxy", folder / "haproxy.cfg", folder / "pid")
        try:
            urls = {"by hand": f"http://{vip}/", "Ottava": f"http://{made['vip_address']}/"}
            rates: dict[str, list[float]] = {name: [] for name in urls}
            latencies: dict[str, list[float]] = {name: [] for name in urls}
            for number in range(rounds):
                for name in sorted(urls, reverse=bool(number % 2)):
                    rate, middle, _ = stage.wrk(urls[name])
                    rates[name].append(rate)
                    latencies[name].append(middle)
        finally:
            processes.stop(pid, 0)
            namespaces.delete(namespace)
    limit = stage.median(rates["by hand"])
    ratios = [mine / theirs for mine, theirs in zip(rates["Ottava"], rates["by hand"], strict=True)]
    rows = [
        (name, stage.median(each), stage.median(latencies[name]), stage.median(each) / limit)
        for name, each in rates.items()
    ]
    stage.table("HTTP keep-alive through the VIP", ("what", "requests/s", "median ms", "ratio"), rows)
    print(f"\nratio of each pair of rounds: median {stage.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
