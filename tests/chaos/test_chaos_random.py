# SPDX-License-Identifier: Apache-2.0
"""Random kills during random changes; then rest, and everybody says the same.

OTTAVA_CHAOS_SEED draws other changes and kills, OTTAVA_CHAOS_ROUNDS more of them.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from support.chaos import OPTIONS, ROLES, Chaos, kill, member, tree
from support.load import Load, who
from support.machine import Machine, eventually
from support.members import Member, Members

from ottava.agent import processes
from ottava.agent.files import Files
from ottava.agent.runtime import Runtime
from ottava.store import engine as engines
from ottava.store import work
from ottava.wire.desired import digest

SEED = int(os.environ.get("OTTAVA_CHAOS_SEED", "1"))
ROUNDS = int(os.environ.get("OTTAVA_CHAOS_ROUNDS", "40"))
POINTS = (
    *(f"api:{point}" for point in ("port", "before-commit", "committed")),
    *(f"controller:{point}" for point in ("claimed", "ApplyAmphora:before", "ApplyAmphora:after", "settled")),
    *(f"agent:{point}" for point in ("stored", "interfaces", "files", "started", "committed", "removing", "stopped")),
    *(f"health:{point}" for point in ("before-commit", "recorded")),
)
PORTS = (81, 82)
BALANCERS = ("x", "y")
ABSENT = None

Key = tuple[str, Any]
"""("member", name), whose value is a weight; ("listener", port) and ("balancer", name), whose value is True."""
Row = dict[str, Any]
Request = tuple[str, str, object]


class Client:
    """Asks for random changes, and knows what may have come of them: an answer not had leaves two possibilities.

    The load balancer `steady` keeps its first member and its first listener throughout.
    """

    def __init__(self, chaos: Chaos, servers: list[Member], dice: random.Random) -> None:
        self.chaos, self.dice = chaos, dice
        self.servers = {each.name: each for each in servers}
        self.first = servers[0]
        self.steady = chaos.machine.create({"name": "steady", **tree(self.first)})
        self.members = f"pools/{chaos.all_of('pools')[0]['id']}/members"
        keys = [
            *(("member", each.name) for each in servers),
            *(("listener", port) for port in PORTS),
            *(("balancer", name) for name in BALANCERS),
        ]
        self.may_be: dict[Key, set[object]] = {key: {ABSENT} for key in keys} | {("member", self.first.name): {1}}

    def change(self) -> str:
        """Ask for something; what was asked and what came of it."""
        key = self.dice.choice(list(self.may_be))
        row = self.row(key)
        value = self.draw(key, row)
        answer = self.chaos.attempt(*self.request(key, row, value))
        if answer is None or answer.status_code >= 500:
            self.may_be[key].add(value)
        elif answer.is_success:
            self.may_be[key] = {value}
        else:
            # 409: what was deleted is not gone yet. 404: it is gone by now.
            assert answer.status_code in (404, 409), answer.text
        return f"{key} = {value}: {answer.status_code if answer is not None else 'no answer'}"

    def row(self, key: Key) -> Row | None:
        """What the API lists."""
        kind, name = key
        if kind == "member":
            found = self.chaos.all_of(self.members, name=name)
        elif kind == "listener":
            found = self.chaos.all_of("listeners", protocol_port=name)
        else:
            found = self.chaos.all_of("loadbalancers", name=name)
        assert len(found) <= 1, found
        return found[0] if found else None

    def value(self, key: Key) -> object:
        """The same as a value."""
        row = self.row(key)
        return ABSENT if row is None else row["weight"] if key[0] == "member" else True

    def draw(self, key: Key, row: Row | None) -> object:
        """A new value."""
        if key == ("member", self.first.name):
            return self.dice.choice([1, 2, 5])
        if key[0] == "member":
            return self.dice.choice([0, 1, 3] if row is None else [ABSENT, 0, 1, 3])
        return True if row is None else ABSENT

    def request(self, key: Key, row: Row | None, value: object) -> Request:
        """What to ask for so that it becomes so."""
        kind, name = key
        path = {"member": self.members, "listener": "listeners", "balancer": "loadbalancers"}[kind]
        if row is not None:
            one = f"{path}/{row['id']}"
            return (
                ("DELETE", f"{one}?cascade=true", None) if value is ABSENT else ("PUT", one, {kind: {"weight": value}})
            )
        if kind == "member":
            return "POST", path, {kind: member(self.servers[name], weight=value)}
        if kind == "listener":
            pool, balancer = self.members.split("/")[1], self.steady["id"]
            wish = {"protocol": "HTTP", "protocol_port": name, "default_pool_id": pool, "loadbalancer_id": balancer}
            return "POST", path, {kind: wish}
        wish = {"name": name, "vip_subnet_id": self.chaos.machine.subnet(), **tree(self.first)}
        return "POST", path, {"loadbalancer": wish}


class Killer:
    """Kills at random."""

    def __init__(self, chaos: Chaos, dice: random.Random) -> None:
        self.chaos, self.dice = chaos, dice

    def aim(self) -> tuple[str, threading.Timer | None]:
        """Whom to kill meanwhile; a timer that does, if one must."""
        how = self.dice.random()
        if how < 0.4:
            point = self.dice.choice(POINTS)
            self.chaos.arm(point)
            return point, None
        role = "up" if how < 0.5 else self.dice.choice(ROLES)
        pids = self.chaos.pids(role)
        timer = threading.Timer(self.dice.random() * 0.1, lambda: [kill(pid) for pid in pids])
        timer.start()
        return role, timer


def test_random_kills_during_random_changes(
    machine: Callable[..., Machine], members_of: Callable[[Machine], Members]
) -> None:
    chaos = Chaos(machine(OPTIONS))
    dice, members = random.Random(SEED), members_of(chaos.machine)
    client = Client(chaos, [members(name) for name in ("one", "two", "three")], dice)
    killer = Killer(chaos, dice)
    story: list[str] = []
    with Load(client.steady["vip_address"], threads=2, pause=0.02) as load:
        for _ in range(ROUNDS):
            victim, timer = killer.aim()
            story.append(f"{victim}: {client.change()}")
            if timer:
                timer.join()
            chaos.revive()
            time.sleep(dice.random() * 0.2)
        print("\n".join(story))
        chaos.disarm()
        eventually(lambda: at_rest(chaos, client.members), f"no rest after {story}\n{chaos.machine.words()[-8000:]}")
        load.more(20)
    assert load.failures == [], story
    for key, values in client.may_be.items():
        assert client.value(key) in values, (key, values, story)
    balancers = chaos.all_of("loadbalancers")
    chaos.tidy(each["id"] for each in balancers)
    for each in balancers:
        agree(chaos, each, {each.address: each.name for each in client.servers.values()})
    for each in balancers:
        chaos.remove(each["id"])
    chaos.tidy([])


def at_rest(chaos: Chaos, members: str) -> bool:
    """Whether nothing is PENDING, or waits."""
    rows = [row for kind in ("loadbalancers", "listeners", "pools", members) for row in chaos.all_of(kind)]
    engine = chaos.engine()
    with engines.reading(engine) as conn:
        views = [work.view(conn, row["id"]) for row in chaos.all_of("loadbalancers")]
    engine.dispose()
    done = all(each and each.generation == each.observed_generation and not each.attempts for each in views)
    return done and all(row["provisioning_status"] == "ACTIVE" for row in rows)


def agree(chaos: Chaos, balancer: Row, names: dict[str, str]) -> None:
    """What the API says of a load balancer, the database's generation, what the agent keeps, what HAProxy runs, and
    what its clients see."""
    listeners = chaos.all_of("listeners", loadbalancers=[{"id": balancer["id"]}])
    (pool,) = chaos.all_of("pools", loadbalancers=[{"id": balancer["id"]}])
    wanted = {
        (each["address"], each["protocol_port"]): each["weight"] for each in chaos.all_of(f"pools/{pool['id']}/members")
    }
    (amphora,) = [id for id, owner in chaos.amphorae().items() if owner == balancer["id"]]
    files = Files(str(chaos.machine.state), str(chaos.machine.run_dir), amphora)
    desired = files.read_desired()
    assert desired is not None
    engine = chaos.engine()
    with engines.reading(engine) as conn:
        view = work.view(conn, balancer["id"])
    engine.dispose()
    assert view is not None
    assert desired.generation == view.generation == view.observed_generation
    assert desired.digest == digest(desired)
    assert files.config.read_bytes() == files.text(desired)
    assert msgspec.json.decode(files.desired.read_bytes())["loadbalancer_id"] == balancer["id"]
    pid = processes.running(files.pid)
    assert pid is not None
    with Runtime(files.socket, pid) as runtime:
        servers = [each for each in runtime.servers().values() if not each.maintenance]
    assert {(each.address, each.port): each.weight for each in servers} == wanted
    vip = balancer["vip_address"]
    for port in (80, *PORTS):
        try:
            seen = set(who(vip, port, number=24))
        except ConnectionRefusedError:
            seen = set()
        there = port in {each["protocol_port"] for each in listeners}
        assert seen == ({names[address] for (address, _), weight in wanted.items() if weight} if there else set())
