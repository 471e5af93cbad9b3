# SPDX-License-Identifier: Apache-2.0
"""Whatever breaks on a host either heals or is explained by `ottava why`, and is whole again when its cause is gone."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.load import Load, who
from support.machine import Failed, Machine, eventually
from support.members import Members

from ottava.agent import namespaces, processes

HASTY: dict[str, dict[str, object]] = {
    "controller": {"lease": 2, "sweep": 0.2, "resync": 2, "retry_base": 0.1, "retry_cap": 1, "error_after": 1},
    "health": {"host_timeout": 3},
}
"""Retries are quick and patience is short, so that tests are."""


@pytest.fixture(scope="module")
def options() -> dict[str, dict[str, object]]:
    return HASTY  # of the machine that the tests of this module share


@pytest.fixture(scope="module")
def balancer(ottava: Machine, members: Members) -> dict[str, Any]:
    return make(ottava, members)


def make(own: Machine, members: Members) -> dict[str, Any]:
    """A load balancer with an HTTP listener `web`, a pool and two members."""
    servers = [{"name": m.name, "address": m.address, "protocol_port": m.port} for m in (members("a"), members("b"))]
    pool = {"name": "pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": servers}
    listener = {"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    return dict(own.create({"name": "balancer", "listeners": [listener]}))


def why(own: Machine, made: dict[str, Any], *words: str) -> str:
    """What `ottava why` says; fails unless all of these words are in it."""
    found = str(own.ottava("why", made["id"]))
    print(f"\n{'-' * 20} why\n{found}")
    assert all(word in found for word in words), f"{words} not in\n{found}\n{own.words()[-5000:]}"
    assert "Traceback" not in found
    assert ".." not in found
    return found


def row(own: Machine, query: str, *values: object) -> tuple[Any, ...]:
    """A row of its database."""
    with contextlib.closing(sqlite3.connect(own.state / "ottava.sqlite", timeout=20)) as conn:
        return tuple(conn.execute(query, values).fetchone())


def at_rest(own: Machine, made: dict[str, Any]) -> bool:
    query = "SELECT error IS NULL AND generation = observed_generation FROM work WHERE loadbalancer_id = ?"
    return bool(row(own, query, made["id"])[0])


def state(own: Machine, made: dict[str, Any]) -> str:
    return str(own.ask("GET", f"loadbalancers/{made['id']}")["loadbalancer"]["provisioning_status"])


def healed(own: Machine, made: dict[str, Any]) -> None:
    """Return when it is ACTIVE, nothing failed last, and both members answer."""
    try:
        eventually(lambda: state(own, made) == "ACTIVE" and at_rest(own, made) and serves(made))
    except AssertionError:
        raise AssertionError(f"not healed\n{own.ottava('why', made['id'])}\n{own.words()[-5000:]}") from None


def serves(made: dict[str, Any]) -> bool:
    try:
        return set(who(made["vip_address"], number=4)) == {"a", "b"}
    except OSError:
        return False


def child(own: Machine, made: dict[str, Any], kind: str) -> dict[str, Any]:
    return dict(own.ask("GET", f"{kind}?loadbalancer_id={made['id']}")[kind][0])


def listen(own: Machine, made: dict[str, Any], port: int) -> dict[str, Any]:
    """Ask for one more listener."""
    wish = {"loadbalancer_id": made["id"], "name": f"port {port}", "protocol": "HTTP", "protocol_port": port}
    pool = child(own, made, "pools")["id"]
    return dict(own.ask("POST", "listeners", {"listener": {**wish, "default_pool_id": pool}})["listener"])


def amphora(own: Machine, made: dict[str, Any]) -> str:
    """The namespace of the load balancer."""
    return f"{own.slot.tag}-{row(own, 'SELECT id FROM amphora WHERE loadbalancer_id = ?', made['id'])[0]}"


def pid_of(own: Machine, role: str) -> int:
    return int(next(each.pid for each in own.running() if each.role == role))


NOW = "(julianday('now') - 2440587.5) * 86400"
LATE = f"SELECT {NOW} - coalesce(lease_until, due_at) > 6 FROM work WHERE loadbalancer_id = ?"


def silent(own: Machine) -> bool:
    """Whether the host was not heard of for longer than HASTY lets it."""
    return bool(row(own, f"SELECT {NOW} - last_seen > 4 FROM host")[0])


@contextlib.contextmanager
def suspended(pid: int) -> Iterator[None]:
    """The process does nothing while this lasts, like one on a machine that sleeps."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def quiet(own: Machine) -> None:
    """No fault that can be foreseen leaves a traceback, or says a thing twice."""
    said = own.words()
    assert "Traceback" not in said, said[said.index("Traceback") - 2000 :][:6000]
    for line in said.splitlines():
        assert "ottava." not in line.partition(": ")[2], f"the name of an exception: {line}"


# ---- what is asked for


@contextlib.contextmanager
def refused_rule(own: Machine, made: dict[str, Any], expression: str) -> Iterator[dict[str, str]]:
    """An L7 rule that HAProxy does not take, as an older Ottava with weaker checks may have left it."""
    listener = child(own, made, "listeners")["id"]
    wish = {"listener_id": listener, "action": "REJECT", "name": "guard"}
    policy = own.ask("POST", "l7policies", {"l7policy": wish})["l7policy"]["id"]
    own.active(made["id"])
    rule = {"type": "PATH", "compare_type": "REGEX", "value": "^/good$"}
    path = f"l7policies/{policy}/rules"
    found = own.ask("POST", path, {"rule": rule})["rule"]["id"]
    own.active(made["id"])
    with contextlib.closing(sqlite3.connect(own.state / "ottava.sqlite", timeout=20)) as conn:
        conn.execute("UPDATE work SET generation = generation + 1, due_at = 0 WHERE loadbalancer_id = ?", (made["id"],))
        conn.execute(
            "UPDATE rule SET value = ?, provisioning_status = 'PENDING_UPDATE', generation = work.generation "
            "FROM work WHERE work.loadbalancer_id = rule.loadbalancer_id AND rule.id = ?",
            (expression, found),
        )
        conn.commit()
    yield {"policy": policy, "rule": found, "path": f"{path}/{found}"}


@pytest.mark.parametrize("cure", ["mend", "delete"])
def test_a_configuration_that_haproxy_refuses(ottava: Machine, balancer: dict[str, Any], cure: str) -> None:
    with (
        Load(balancer["vip_address"], pause=0.01) as load,
        refused_rule(ottava, balancer, "(?<=a{65535}b)c") as culprit,
    ):
        eventually(lambda: state(ottava, balancer) == "ERROR")
        said = why(ottava, balancer, "lookbehind assertion is too long")
        assert f"{culprit['rule']} is ERROR" in said
        rule = ottava.ask("GET", culprit["path"])["rule"]
        assert rule["provisioning_status"] == "ERROR"
        assert child(ottava, balancer, "pools")["provisioning_status"] == "ACTIVE"
        load.more()
        if cure == "mend":
            ottava.ask("PUT", culprit["path"], {"rule": {"value": "^/better$"}})
            healed(ottava, balancer)
            why(ottava, balancer, "Nothing is missing", "Everything that was asked for was applied")
            assert ottava.ask("GET", culprit["path"])["rule"]["provisioning_status"] == "ACTIVE"
        ottava.ask("DELETE", f"l7policies/{culprit['policy']}")
        healed(ottava, balancer)
    assert load.failures == []
    quiet(ottava)


# ---- what is on the host


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not a byte is free on the file system of `folder`."""
    path = folder / "filler"
    try:
        with path.open("wb", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size):
                        pass
        yield
    finally:
        path.unlink()


@pytest.fixture
def small(machine: Callable[..., Machine]) -> Iterator[Machine]:
    """An Ottava whose state is on a file system of its own, a small one."""
    own = machine(HASTY)
    own.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "ottava-test", own.state], check=True)
    try:
        own.up()
        yield own
        own.down()
    finally:
        subprocess.run(["umount", "-l", own.state], check=True)


def test_a_full_disk(small: Machine, members_of: Callable[[Machine], Members]) -> None:
    made = make(small, members_of(small))
    taken: set[int] = set()
    with Load(made["vip_address"], pause=0.01) as load:
        with full(small.state), small.api() as api:
            pool = child(small, made, "pools")["id"]
            for port in range(1000, 1040):
                wish = {"loadbalancer_id": made["id"], "protocol": "HTTP", "protocol_port": port}
                answer = api.post("listeners", json={"listener": {**wish, "default_pool_id": pool}})
                assert answer.status_code in (201, 503), answer.text
                if answer.status_code == 201:
                    taken.add(port)
                else:
                    break
            assert api.get("listeners").status_code == 200
            why(small, made, "is full")
            load.more()
        healed(small, made)
        ports = {each["protocol_port"] for each in small.ask("GET", "listeners")["listeners"]}
        assert ports == {80} | taken
        for port in taken:
            assert set(who(made["vip_address"], port, number=2)) == {"a", "b"}
    assert load.failures == []
    quiet(small)


def test_haproxy_that_is_installed_later(
    machine: Callable[..., Machine], members_of: Callable[[Machine], Members], tmp_path: Path
) -> None:
    program = tmp_path / "haproxy"
    own = machine({**HASTY, "agent": {"haproxy": program}})
    own.up()
    a = members_of(own)("a")
    pool = {
        "name": "pool",
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": [{"address": a.address, "protocol_port": a.port}],
    }
    listener = {"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    wish = {"vip_subnet_id": own.subnet(), "listeners": [listener]}
    made = own.ask("POST", "loadbalancers", {"loadbalancer": wish})["loadbalancer"]
    eventually(lambda: state(own, made) == "ERROR")
    why(own, made, f"there is no HAProxy program {program}")
    program.symlink_to("/usr/sbin/haproxy")
    eventually(lambda: state(own, made) == "ACTIVE")
    assert who(made["vip_address"]) == {"a": 1}
    quiet(own)


def test_a_port_that_another_process_has_taken(ottava: Machine, balancer: dict[str, Any]) -> None:
    with Load(balancer["vip_address"], pause=0.01) as load:
        with namespaces.inside(amphora(ottava, balancer)):
            thief = socket.create_server(("0.0.0.0", 81))
        with thief:
            listener = listen(ottava, balancer, 81)
            eventually(lambda: state(ottava, balancer) == "ERROR")
            why(ottava, balancer, listener["id"], ":81")
            load.more()
        healed(ottava, balancer)
        assert set(who(balancer["vip_address"], 81, number=4)) == {"a", "b"}
        ottava.ask("DELETE", f"listeners/{listener['id']}")
        healed(ottava, balancer)
    assert load.failures == []
    quiet(ottava)


@pytest.mark.parametrize("group", ["agent", "health"])
def test_a_port_of_ottava_that_another_process_has_taken(machine: Callable[..., Machine], group: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as thief:
        port = thief.getsockname()[1]
        own = machine({group: {"bind_port": port}})
        with pytest.raises(Failed) as failure:
            own.up()
    assert f"cannot listen on 127.0.0.1 port {port}" in str(failure.value)
    assert own.running() == []
    quiet(own)


def test_a_bridge_that_was_deleted(ottava: Machine, balancer: dict[str, Any]) -> None:
    healed(ottava, balancer)
    bridge = ottava.network.bridge
    ports = [path.name for path in Path(f"/sys/class/net/{bridge}/brif").iterdir()]
    ip("link", "delete", bridge)
    eventually(Path(f"/sys/class/net/{bridge}").exists)
    eventually(lambda: any(Path(f"/sys/class/net/{bridge}/brif").iterdir()))
    for port in ports:  # the members' owner puts them back
        ip("link", "set", port, "master", bridge)
    healed(ottava, balancer)
    quiet(ottava)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def test_a_namespace_that_was_deleted(ottava: Machine, balancer: dict[str, Any]) -> None:
    healed(ottava, balancer)
    name = amphora(ottava, balancer)
    namespaces.delete(name)
    eventually(lambda: namespaces.exists(name))
    healed(ottava, balancer)
    quiet(ottava)


def test_haproxy_that_is_killed_again_and_again(ottava: Machine, balancer: dict[str, Any]) -> None:
    killed: set[int] = set()
    for _ in range(4):
        for pid in eventually(lambda: proxies(ottava) - killed):
            killed.add(pid)
            with contextlib.suppress(ProcessLookupError):  # one that only starts another ends by itself
                os.kill(pid, signal.SIGKILL)
    healed(ottava, balancer)
    quiet(ottava)


def proxies(own: Machine) -> set[int]:
    return {pid for several in processes.everything(own.run_dir).values() for pid in several}


# ---- what Ottava itself is made of


def test_a_database_that_is_locked(ottava: Machine, balancer: dict[str, Any]) -> None:
    healed(ottava, balancer)
    pool = child(ottava, balancer, "pools")["id"]
    answers: list[httpx.Response] = []

    def change() -> None:
        with ottava.api() as api:
            answers.append(api.put(f"pools/{pool}", json={"pool": {"name": "renamed"}}))

    with Load(balancer["vip_address"], pause=0.01) as load:
        conn = sqlite3.connect(ottava.state / "ottava.sqlite", isolation_level=None)
        with contextlib.closing(conn):
            conn.execute("BEGIN EXCLUSIVE")
            asking = threading.Thread(target=change)
            asking.start()
            eventually(lambda: row(ottava, LATE, balancer["id"])[0])
            load.more()
            ottava.ask("GET", f"loadbalancers/{balancer['id']}")
            why(ottava, balancer, "database is locked")
            conn.execute("ROLLBACK")
        asking.join()
        healed(ottava, balancer)
    assert load.failures == []
    (answer,) = answers
    assert answer.status_code in (200, 503), answer.text
    assert ottava.ask("GET", f"pools/{pool}")["pool"]["name"] == ("renamed" if answer.is_success else "pool")
    ottava.ask("PUT", f"pools/{pool}", {"pool": {"name": "pool"}})
    healed(ottava, balancer)
    quiet(ottava)


def test_an_agent_that_sleeps(ottava: Machine, balancer: dict[str, Any]) -> None:
    healed(ottava, balancer)
    with Load(balancer["vip_address"], pause=0.01) as load:
        with suspended(pid_of(ottava, "agent")):
            listener = listen(ottava, balancer, 82)
            eventually(lambda: silent(ottava))
            why(ottava, balancer, "has not been heard of", "See whether `ottava agent` runs there")
            load.more()
        healed(ottava, balancer)
        assert set(who(balancer["vip_address"], 82, number=4)) == {"a", "b"}
        ottava.ask("DELETE", f"listeners/{listener['id']}")
        healed(ottava, balancer)
    assert load.failures == []
    quiet(ottava)


def test_a_start_after_a_long_rest_blames_nobody(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up()
    made = own.create({})
    own.stop()
    with contextlib.closing(sqlite3.connect(own.state / "ottava.sqlite")) as conn:
        conn.execute("UPDATE host SET last_seen = last_seen - 3600")
        conn.execute("UPDATE work SET due_at = due_at - 3600")
        conn.commit()
    epoch = "SELECT epoch FROM work WHERE loadbalancer_id = ?"
    before = row(own, epoch, made["id"])[0]
    own.up()
    eventually(lambda: row(own, epoch, made["id"])[0] > before and at_rest(own, made))
    assert [line for line in own.words().splitlines() if made["id"] in line and " WARNING " in line] == []
    assert state(own, made) == "ACTIVE"


def test_a_controller_that_wakes_after_another_has_taken_over(
    machine: Callable[..., Machine], members_of: Callable[[Machine], Members]
) -> None:
    own = machine({"controller": HASTY["controller"]})
    own.up()
    made = make(own, members_of(own))
    first = pid_of(own, "controller")
    with Load(made["vip_address"], pause=0.01) as load, own.log.open("a") as log:
        with suspended(first):
            with suspended(pid_of(own, "agent")):
                os.kill(first, signal.SIGCONT)
                listen(own, made, 83)
                query = "SELECT lease_owner FROM work WHERE loadbalancer_id = ?"
                eventually(lambda: row(own, query, made["id"])[0])
                why(own, made, "is at it now", "does not answer at")  # its order waits at the agent
                os.kill(first, signal.SIGSTOP)
            second = subprocess.Popen(own.command("controller"), stderr=log)
            listen(own, made, 84)
            healed(own, made)
            assert set(who(made["vip_address"], 84, number=4)) == {"a", "b"}
        eventually(lambda: "left to another worker" in own.words())
        healed(own, made)
        for port in (83, 84):
            assert set(who(made["vip_address"], port, number=4)) == {"a", "b"}
        listen(own, made, 85)
        healed(own, made)
        second.terminate()
        assert second.wait(60) == 0
    assert load.failures == []
    quiet(own)
