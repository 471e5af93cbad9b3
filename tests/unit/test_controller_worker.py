# SPDX-License-Identifier: Apache-2.0
"""The controller's threads and processes: everything due is done, and never by two at once."""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ottava.cloud.network.local import LocalNetwork
from ottava.controller import slot
from ottava.controller.memory_agents import MemoryAgents
from ottava.controller.settings import Settings
from ottava.controller.turn import Tools
from ottava.controller.worker import Controller
from ottava.model import status
from ottava.model.load_balancer import LoadBalancer
from ottava.store import engine as engines
from ottava.store import graphs, hosts, resources, work
from ottava.store.addresses import Addresses
from ottava.store.wakeup import Wakeup
from ottava.wire.applied import Applied
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Facts

FACTS = Facts(hostname="host-1", haproxy=(2, 6, 12), nofile=20000, cpus=2)


class Watched(MemoryAgents):
    """Agents that write down when two are at one load balancer at once, in whatever processes they are."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def apply(self, host: str, url: str, desired: Desired) -> Applied:
        mark = self._folder / f"busy-{desired.loadbalancer_id}"
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            (self._folder / f"clash-{uuid.uuid4()}").touch()
        time.sleep(0.002)
        mark.unlink(missing_ok=True)
        with (self._folder / f"done-{os.getpid()}").open("a") as done:
            done.write(f"{desired.loadbalancer_id} {desired.generation}\n")
        return super().apply(host, url, desired)


def tools(folder: Path, agents: MemoryAgents, **options: float) -> Tools:
    engine = engines.create_engine(f"sqlite:///{folder}/ottava.sqlite")
    engines.upgrade(engine)
    network = LocalNetwork(("lan 198.18.64.0/20",), Addresses(engine), "tc")
    wanted = {"sweep": 0.2, "retry_base": 0.01, "retry_cap": 0.1} | options
    return Tools(engine, network, agents, Settings(state_dir=folder, run_dir=folder, **wanted))


def create(tools: Tools, count: int) -> list[str]:
    ids = [str(uuid.uuid4()) for _ in range(count)]
    network_id = tools.network.networks()[0].id
    for id in ids:
        vip = tools.network.create_port(id, "project", "", network_id=network_id)
        balancer = LoadBalancer(
            id=id, project_id="project", created_at=engines.timestamp(), generation=1, vip_address=vip.address,
            vip_port_id=vip.port_id, vip_subnet_id=vip.subnet_id, vip_network_id=vip.network_id,
        )  # fmt: skip
        with engines.writing(tools.engine) as conn:
            resources.insert_many(conn, [balancer])
    return ids


def touch(tools: Tools, id: str) -> None:
    with engines.writing(tools.engine) as conn:
        generation = work.touch(conn, id)
        graphs.set_provisioning(conn, [("loadbalancer", id, status.PENDING_UPDATE)], generation)


def await_all(tools: Tools, ids: list[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engines.reading(tools.engine) as conn:
            found = [graphs.load(conn, id) for id in ids]
        if all(each and each.load_balancer.provisioning_status == status.ACTIVE for each in found):
            return
        time.sleep(0.02)
    raise AssertionError("not all of them became ACTIVE")


@pytest.fixture
def here(tmp_path) -> Iterator[Tools]:
    found = tools(tmp_path, Watched(tmp_path))
    with engines.writing(found.engine) as conn:
        hosts.seen(conn, "host-1", "https://host-1.invalid:9443", FACTS)
    yield found
    found.engine.dispose()


class TestThreads:
    def test_everything_that_is_due_is_done(self, here, tmp_path):
        controller = Controller(here, "me")
        controller.start()
        ids = create(here, 20)
        Wakeup(tmp_path).send()
        await_all(here, ids)
        controller.stop()
        assert len(here.agents.on("host-1")) == 20
        assert not list(tmp_path.glob("clash-*"))

    def test_without_any_hint_it_is_done_too(self, here):
        controller = Controller(here, "me")
        controller.start()
        await_all(here, create(here, 3))
        controller.stop()

    def test_what_an_earlier_run_held_is_taken_up_at_once(self, here):
        (id,) = create(here, 1)
        assert work.claim(here.engine, "me", 10_000) is not None
        controller = Controller(here, "me")
        controller.start()
        await_all(here, [id])
        controller.stop()

    def test_what_another_one_holds_is_left_alone(self, here):
        (id,) = create(here, 1)
        assert work.claim(here.engine, "somebody", 10_000) is not None
        controller = Controller(here, "me")
        controller.start()
        await_all(here, create(here, 2))
        controller.stop()
        with engines.reading(here.engine) as conn:
            assert work.view(conn, id).lease_owner == "somebody"

    def test_a_long_turn_keeps_its_lease(self, tmp_path):
        agents = MemoryAgents()
        mine = tools(tmp_path, agents, lease=1.0)
        with engines.writing(mine.engine) as conn:
            hosts.seen(conn, "host-1", "https://host-1.invalid:9443", FACTS)
        calls = []

        def slow(desired: Desired) -> None:
            calls.append(desired.epoch)
            time.sleep(2.5)

        agents.trouble = slow
        controller = Controller(mine, "me")
        controller.start()
        await_all(mine, create(mine, 1))
        controller.stop()
        assert len(calls) == 1

    def test_a_defect_at_one_load_balancer_does_not_end_the_work_on_others(self, here):
        def broken(desired: Desired) -> None:
            if desired.loadbalancer_id == bad:
                raise RuntimeError("a defect")

        here.agents.trouble = broken
        ids = create(here, 6)
        bad = ids[0]
        controller = Controller(here, "me")
        controller.start()
        await_all(here, ids[1:])
        controller.stop()
        with engines.reading(here.engine) as conn:
            assert "a defect in Ottava (RuntimeError)" in work.view(conn, bad).error


class TestSlot:
    def test_two_controllers_have_two_names_and_a_restarted_one_the_old_one(self, tmp_path):
        first = slot.take(tmp_path, "host-1")
        second = slot.take(tmp_path, "host-1")
        assert first.name != second.name
        first.close()
        again = slot.take(tmp_path, "host-1")
        assert again.name == first.name
        again.close()
        second.close()

    def test_two_state_directories_never_share_a_name(self, tmp_path):
        names = {slot.take(tmp_path / folder, "host-1").name for folder in ("one", "two")}
        assert len(names) == 2


def test_two_processes_never_both_hold_one(tmp_path, here):
    command = [sys.executable, __file__, str(tmp_path)]
    processes = [subprocess.Popen([*command, name], stdin=subprocess.PIPE) for name in ("one", "two")]
    ids = create(here, 10)
    await_all(here, ids)
    rounds = 0
    while rounds < 10 or len(list(tmp_path.glob("done-*"))) < 2:
        rounds += 1
        threads = [threading.Thread(target=touch, args=(here, id)) for id in ids]
        for thread in threads:
            thread.start()
        Wakeup(tmp_path).send()
        for thread in threads:
            thread.join()
    await_all(here, ids)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert not list(tmp_path.glob("clash-*"))


def be_a_controller(folder: Path, owner: str) -> None:
    """Until the standard input ends."""
    controller = Controller(tools(folder, Watched(folder)), owner)
    controller.start()
    sys.stdin.read()
    controller.stop()


if __name__ == "__main__":
    be_a_controller(Path(sys.argv[1]), sys.argv[2])
