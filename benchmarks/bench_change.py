# SPDX-License-Identifier: Apache-2.0
"""A member added, removed, drained or re-weighted: from the API call to the effect in traffic, under load.

To reach: a median of at most 150 ms, and not one failed request in 20,000, keep-alive or not. The limit measured in
the same run: the same change said by hand on the runtime socket of the same HAProxy.
Run as root: `python benchmarks/bench_change.py [ROUNDS]` (20 by default).
"""

import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import stage
from support.machine import Machine

SHARE = 20


def _first(answers: Sequence[tuple[float, str]], who: str, since: float) -> float:
    """Seconds from `since` to the first answer of `who`."""
    return next(at for at, name in answers if at > since and name == who) - since


def _last(answers: Sequence[tuple[float, str]], who: str, since: float, until: float) -> float:
    """Seconds from `since` to the last answer of `who` before `until`; 0 if there was none."""
    return max((at - since for at, name in answers if since < at < until and name == who), default=0.0)


def _share(answers: Sequence[tuple[float, str]], who: str, since: float) -> float:
    """Seconds from `since` until `who` gave three quarters of the last 20 answers."""
    recent: list[str] = []
    for at, name in answers:
        recent = [*recent, name][-SHARE:]
        if at > since and recent.count(who) >= SHARE * 3 // 4:
            return at - since
    raise ValueError("the share never changed")


def _runtime(path: str, command: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(command.encode() + b"\n")
        while connection.recv(4096):
            pass


def _socket_of(machine: Machine) -> str:
    return str(next(machine.run_dir.rglob("haproxy.sock")))


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with stage.ottava() as machine, stage.members(machine) as members:
        a, b, c = members("a"), members("b"), members("c")
        made = machine.create(stage.wish([a, b]))
        pool, listener = made["pools"][0]["id"], made["listeners"][0]["id"]
        path = f"pools/{pool}/members"
        ids = {each["name"]: each["id"] for each in machine.ask("GET", path)["members"]}
        marks: list[tuple[str, float]] = []
        api = machine.api()

        def do(name: str, act: Callable[[], object]) -> None:
            marks.append((name, time.monotonic()))
            act()
            time.sleep(0.25)

        def ask(method: str, path: str, body: object = None) -> None:
            answer = api.request(method, path, json=body)
            if not answer.is_success:
                raise RuntimeError(answer.text)
            if method == "POST":
                ids["c"] = answer.json()["member"]["id"]

        new = {"member": {"address": c.address, "protocol_port": c.port, "name": "c"}}
        with stage.Load(made["vip_address"]) as load:
            time.sleep(0.5)
            for _ in range(rounds):
                do("added", lambda: ask("POST", path, new))
                do("re-weighted", lambda: ask("PUT", f"{path}/{ids['c']}", {"member": {"weight": 250}}))
                do("drained", lambda: ask("PUT", f"{path}/{ids['c']}", {"member": {"weight": 0}}))
                do("undrained", lambda: ask("PUT", f"{path}/{ids['c']}", {"member": {"weight": 1}}))
                do("removed", lambda: ask("DELETE", f"{path}/{ids['c']}"))
            machine.active(made["id"])
            server = f"{pool}:{listener}/{ids['b']}"
            for _ in range(rounds):
                do("by hand: drained", lambda: _runtime(_socket_of(machine), f"set server {server} weight 0"))
                do("by hand: undrained", lambda: _runtime(_socket_of(machine), f"set server {server} weight 1"))
        _print(load, marks)


def _print(load: stage.Load, marks: Sequence[tuple[str, float]]) -> None:
    figures: dict[str, list[float]] = defaultdict(list)
    for number, (name, at) in enumerate(marks):
        until = marks[number + 1][1] if number + 1 < len(marks) else at + 0.25
        who = "b" if name.startswith("by hand") else "c"
        match name.removeprefix("by hand: "):
            case "added" | "undrained":
                seconds = _first(load.answers, who, at)
            case "re-weighted":
                seconds = _share(load.answers, who, at)
            case _:
                seconds = _last(load.answers, who, at, until)
        figures[name].append(seconds * 1000)
    limit = stage.median(figures["by hand: undrained"])
    rows = [(name, stage.median(each), max(each), stage.median(each) / limit) for name, each in figures.items()]
    total, failed = len(load.answers), load.failures
    stage.table("A change to its effect in traffic", ("change", "median ms", "worst ms", "median / by hand"), rows)
    print(f"\n{total} requests under {len(marks)} changes, {len(failed)} failed {failed[:5] or ''}")


if __name__ == "__main__":
    main()
