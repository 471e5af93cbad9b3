# SPDX-License-Identifier: Apache-2.0
"""Kill processes of an Ottava where a test says, bring it back, and see what is left behind."""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, select

from ottava.agent import namespaces, netlink, processes
from ottava.agent.files import Files
from ottava.store import amphorae, tables
from ottava.store import engine as engines
from support.machine import PATIENCE, Machine, eventually
from support.members import Member

ROLES = ("api", "controller", "agent", "health")
OPTIONS = {"controller": {"lease": 2, "sweep": 0.2, "resync": 2, "retry_base": 0.1, "retry_cap": 1, "orphan_grace": 5}}


def member(server: Member, **more: object) -> dict[str, object]:
    """A member of a pool."""
    return {"name": server.name, "address": server.address, "protocol_port": server.port, **more}


def tree(*servers: Member, **more: object) -> dict[str, Any]:
    """A load balancer's listener at port 80 with a pool of these members."""
    crew = [member(each) for each in servers]
    pool = {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": crew, **more}
    return {"listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": pool}]}


class Chaos:
    """An Ottava in which `arm` has processes killed at a point, once."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._trap = machine.folder / "trap"
        self._ends = False
        machine.environment["OTTAVA_CRASH_AT"] = str(self._trap)
        # A connection kept from before a kill would break, and look like a request that nobody answered.
        self._api = machine.api(limits=httpx.Limits(max_keepalive_connections=0))
        machine.up()

    # ---- killing

    def arm(self, point: str, victim: str = "self") -> None:
        """At the next passing of `point` kill who passes it, or a role, or `up`, or `all` at once."""
        role = point.partition(":")[0]
        pids = [] if victim == "self" else self._all(role) if victim == "all" else self.pids(victim)
        assert pids or victim == "self", f"no {victim} runs"
        self._ends = victim in ("up", "all")
        beside = self._trap.with_name("trap.next")
        beside.write_text(" ".join([point, *map(str, pids)]))
        beside.replace(self._trap)

    def disarm(self) -> None:
        """Kill nobody any more."""
        self._trap.unlink(missing_ok=True)

    def pids(self, role: str) -> list[int]:
        """Of a role: the process that `ottava up` started, not its workers."""
        return [each.pid for each in self.machine.running() if each.role == role]

    def _all(self, last: str) -> list[int]:
        """All, and those of the role that does the killing at last."""
        return [*(pid for role in ("up", *ROLES) if role != last for pid in self.pids(role)), *self.pids(last)]

    def struck(self, why: str) -> None:
        """Wait until the trap has been sprung, and until all runs again."""
        eventually(lambda: not self._trap.exists(), f"{why}: nobody came by\n{self.machine.words()[-5000:]}")
        self.revive()

    def revive(self) -> None:
        """`ottava up` again if it was killed."""
        process = self.machine.process
        assert process is not None
        if self._ends:  # the trap is gone a moment before it
            process.wait(60)
            self._ends = False
        if process.poll() is not None:
            self.machine.process = None
            self.machine.up()

    # ---- asking

    def attempt(self, method: str, path: str, body: object = None) -> httpx.Response | None:
        """The answer, None if none came: then nobody knows whether it was done."""
        deadline = time.monotonic() + PATIENCE
        while self.pids("up"):
            try:
                return self._api.request(method, path, json=body)
            except httpx.ConnectError:  # nothing was asked
                assert time.monotonic() < deadline, f"the API is not reached\n{self.machine.words()[-5000:]}"
                time.sleep(0.02)
            except httpx.TransportError:
                return None
        return None

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer of an Ottava that runs, however often it takes; only for what may be asked twice."""

        def once() -> httpx.Response | None:
            self.revive()
            answer = self.attempt(method, path, body)
            return answer if answer is not None and answer.status_code < 500 else None

        answer = eventually(once, f"{method} {path} is not answered")
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def all_of(self, kind: str, **wanted: object) -> list[dict[str, Any]]:
        """The objects of a kind that have these attributes."""
        rows = self.ask("GET", kind)[kind.rpartition("/")[2]]
        return [row for row in rows if all(row[key] == value for key, value in wanted.items())]

    def active(self, id: str) -> dict[str, Any]:
        """The load balancer, once it is ACTIVE with all that belongs to it."""

        def look() -> Any:
            found = self.ask("GET", f"loadbalancers/{id}")["loadbalancer"]
            return found if found["provisioning_status"] == "ACTIVE" else None

        return dict(eventually(look, f"{id} is not ACTIVE\n{self.machine.words()[-8000:]}"))

    def remove(self, id: str) -> None:
        """Delete a load balancer and wait until it is gone."""

        def gone() -> bool:
            answer = self.attempt("DELETE", f"loadbalancers/{id}?cascade=true")
            assert answer is None or answer.status_code in (204, 404, 409, 500, 503), answer.text
            return answer is not None and answer.status_code == 404

        eventually(gone, f"load balancer {id} stays\n{self.machine.words()[-8000:]}")

    # ---- looking

    def engine(self) -> Engine:
        """Its database."""
        return engines.create_engine(f"sqlite:///{self.machine.state}/ottava.sqlite")

    def amphorae(self) -> dict[str, str]:
        """The load balancer of each amphora, as the database has it."""
        engine = self.engine()
        with engines.reading(engine) as conn:
            rows = conn.execute(select(tables.amphora.c.id, tables.amphora.c.loadbalancer_id)).all()
        engine.dispose()
        return {row.id: row.loadbalancer_id for row in rows}

    def tidy(self, balancers: Iterable[str]) -> None:
        """Wait until there is only what these load balancers need: one amphora each, and nothing of others."""
        wanted = set(balancers)
        eventually(lambda: not self.surplus(wanted), f"left behind: {self.surplus(wanted)}")

    def surplus(self, wanted: set[str]) -> list[str]:
        """What is too much, or too little."""
        known = self.amphorae()
        found = [] if sorted(known.values()) == sorted(wanted) else [f"amphorae {known}"]
        found += [*self._rows(wanted), *self._on_host(set(known)), *self._files(set(known)), *self._processes(known)]
        return found

    def _rows(self, wanted: set[str]) -> list[str]:
        engine, found = self.engine(), []
        with engines.reading(engine) as conn:
            for table in tables.metadata.sorted_tables:
                name = {"loadbalancer": "id", "address": "owner"}.get(table.name, "loadbalancer_id")
                if name in table.c:
                    owners = set(conn.execute(select(table.c[name])).scalars())
                    found += [f"row of {owner} in {table.name}" for owner in owners - wanted]
            reports = set(conn.execute(select(tables.report.c.amphora_id)).scalars())
            found += [f"report of amphora {id}" for id in reports - amphorae.all_ids(conn)]
        engine.dispose()
        return found

    def _on_host(self, known: set[str]) -> list[str]:
        tag = self.machine.slot.tag
        spaces = {name for name in namespaces.names(f"{tag}-") if not name.startswith(f"{tag}-m-")}
        members = len(namespaces.names(f"{tag}-m-"))
        found = [f"namespace {name}" for name in spaces ^ {f"{tag}-{id}" for id in known}]
        links = [link.name for link in netlink.here().links() if link.name.startswith(f"{tag}-v")]
        return found if len(links) == len(known) + members else [*found, f"links {links}"]

    def _files(self, known: set[str]) -> list[str]:
        folders = [self.machine.state / "amphorae", self.machine.run_dir / "amphorae"]
        paths = [path for folder in folders if folder.exists() for path in folder.iterdir() if path.name not in known]
        for id in known:
            files = Files(str(self.machine.state), str(self.machine.run_dir), id)
            paths += [*files.state.glob("*.next"), *files.run.glob("*.next"), *files.run.glob("starting")]
        return [f"file {path}" for path in paths]

    def _processes(self, known: Iterable[str]) -> list[str]:
        proxies = processes.everything(self.machine.run_dir)
        pids = {pid for several in proxies.values() for pid in several}
        found = [] if len(pids) == len(list(known)) else [f"proxies {proxies}"]
        roles = sorted(each.role for each in self.machine.running())
        found += [] if roles == sorted(("up", *ROLES)) else [f"processes {roles}"]
        ours = self.machine.pids() | pids
        return found + [
            f"process {pid}" for pid in _with_environment(f"OTTAVA_CRASH_AT={self._trap}") if pid not in ours
        ]


def _with_environment(words: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if words.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def kill(pid: int) -> None:
    """SIGKILL, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
