# SPDX-License-Identifier: Apache-2.0
"""What asking an agent must be like: of agents in memory, and of an agent's HTTP API over mutual TLS."""

import os
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon.asgi
import httpx
import msgspec
import pytest
from support.lone_agent import LoneAgent
from support.slots import slot

from ottava import pki
from ottava.controller.agent_client import AgentClient
from ottava.controller.agents import Agents, Misunderstood, Unreachable
from ottava.controller.memory_agents import MemoryAgents
from ottava.health.server import serve
from ottava.wire.applied import Outcome
from ottava.wire.desired import Desired, digest

HOST = "laptop"


class Doors:
    """The agent's HTTP API, in front of agents in memory."""

    def __init__(self, agents: MemoryAgents) -> None:
        self.agents = agents
        self.status = 200

    async def on_get_facts(self, request: Any, response: Any) -> None:
        self._say(response, self.agents.facts(HOST, ""))

    async def on_get_all(self, request: Any, response: Any) -> None:
        self._say(response, self.agents.reports(HOST, ""))

    async def on_get(self, request: Any, response: Any, amphora_id: str) -> None:
        self._say(response, self.agents.applied(HOST, "", amphora_id))

    async def on_put(self, request: Any, response: Any, amphora_id: str) -> None:
        assert "ottava:controller" in request.scope["state"]["peer"]
        self._say(response, self.agents.apply(HOST, "", msgspec.json.decode(await request.stream.read(), type=Desired)))

    async def on_delete(self, request: Any, response: Any, amphora_id: str) -> None:
        epoch, generation = request.get_param_as_int("epoch"), request.get_param_as_int("generation")
        self._say(response, self.agents.remove(HOST, "", amphora_id, epoch, generation))

    def _say(self, response: Any, what: object) -> None:
        response.status = self.status
        response.data = msgspec.json.encode(what)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("the server does not listen")


@pytest.fixture
def doors() -> Doors:
    return Doors(MemoryAgents())


@pytest.fixture
def serving(tmp_path, doors) -> Iterator[Callable[[], str]]:
    """Starts the HTTP API of a host; the URL where it answers. Called again, it starts anew at the same place."""
    app = falcon.asgi.App()
    app.add_route("/v1/facts", doors, suffix="facts")
    app.add_route("/v1/amphorae", doors, suffix="all")
    app.add_route("/v1/amphorae/{amphora_id}", doors)
    port = free_port()
    running: list[tuple[threading.Event, threading.Thread]] = []

    def stop() -> None:
        for event, thread in running:
            event.set()
            thread.join()
        running.clear()

    def start() -> str:
        stop()
        identity = pki.ensure(tmp_path / "pki", "agent", pki.agent(HOST), ["127.0.0.1"])
        event = threading.Event()
        thread = threading.Thread(target=serve, args=(app, "127.0.0.1", port, identity, event))
        thread.start()
        running.append((event, thread))
        await_port(port)
        return f"https://127.0.0.1:{port}"

    yield start
    stop()


@pytest.fixture
def client(tmp_path) -> Iterator[AgentClient]:
    client = AgentClient(pki.ensure(tmp_path / "pki", "controller", pki.CONTROLLER))
    yield client
    client.close()


@pytest.fixture
def real(tmp_path) -> Iterator[LoneAgent]:
    if os.geteuid() != 0:
        pytest.fail("the real agent makes network namespaces and needs root")
    with slot() as mine:
        agent = LoneAgent(mine, {})
        agent.start()
        yield agent
        agent.close()


@pytest.fixture(params=["memory", "https", "real"])
def asked(request) -> tuple[Agents, str]:
    if request.param == "memory":
        return MemoryAgents(), "https://nowhere.invalid:1"
    if request.param == "https":
        return request.getfixturevalue("client"), request.getfixturevalue("serving")()
    agent = request.getfixturevalue("real")
    files = [Path(path) for path in agent.authority.issue("us", pki.CONTROLLER)]
    return AgentClient(pki.Identity(*files, agent.authority.path)), agent.url


def wish(amphora_id: str, epoch: int = 1, generation: int = 1) -> Desired:
    bare = Desired(amphora_id=amphora_id, loadbalancer_id=str(uuid.uuid4()), epoch=epoch, generation=generation)
    return msgspec.structs.replace(bare, digest=digest(bare))


class TestEveryAgent:
    def test_what_is_applied_is_found_again_and_what_is_removed_is_not(self, asked):
        agents, url = asked
        one, other = str(uuid.uuid4()), str(uuid.uuid4())
        assert agents.applied(HOST, url, one).outcome is Outcome.ABSENT
        sent = wish(one, 3, 7)
        for _ in range(2):
            done = agents.apply(HOST, url, sent)
            assert (done.outcome, done.epoch, done.generation, done.digest) == (Outcome.SERVING, 3, 7, sent.digest)
        agents.apply(HOST, url, wish(other))
        assert agents.applied(HOST, url, one).digest == sent.digest
        assert {each.amphora_id for each in agents.reports(HOST, url)} == {one, other}
        for _ in range(2):
            assert agents.remove(HOST, url, one, 3, 8).outcome is Outcome.ABSENT
        assert agents.applied(HOST, url, one).outcome is Outcome.ABSENT
        assert [each.amphora_id for each in agents.reports(HOST, url)] == [other]

    def test_an_older_epoch_or_generation_is_fenced(self, asked):
        agents, url = asked
        one = str(uuid.uuid4())
        newest = wish(one, 3, 7)
        agents.apply(HOST, url, newest)
        for old in (wish(one, 2, 9), wish(one, 3, 6)):
            assert agents.apply(HOST, url, old).outcome is Outcome.FENCED
            assert agents.applied(HOST, url, one).digest == newest.digest
        assert agents.remove(HOST, url, one, 2, 9).outcome is Outcome.FENCED
        assert agents.applied(HOST, url, one).outcome is Outcome.SERVING

    def test_facts(self, asked):
        agents, url = asked
        assert agents.facts(HOST, url).nofile > 0


class TestClient:
    def test_nobody_listens(self, client):
        with pytest.raises(Unreachable, match=HOST):
            client.facts(HOST, f"https://127.0.0.1:{free_port()}")

    def test_an_agent_cannot_speak_for_another_host(self, client, serving):
        with pytest.raises(Unreachable, match="not that of the agent of host host-2"):
            client.facts("host-2", serving())

    def test_a_restarted_agent_is_asked_over_a_new_connection(self, client, serving):
        client.facts(HOST, serving())
        assert client.facts(HOST, serving()).hostname == HOST

    def test_certificates_are_read_again_when_they_change(self, tmp_path, client, serving):
        url = serving()
        client.facts(HOST, url)
        for old in (tmp_path / "pki").iterdir():
            old.unlink()
        serving()
        with pytest.raises(Unreachable):
            AgentClient(pki.ensure(tmp_path / "other", "controller", pki.CONTROLLER)).facts(HOST, url)
        pki.ensure(tmp_path / "pki", "controller", pki.CONTROLLER)
        assert client.facts(HOST, url).hostname == HOST

    def test_an_answer_that_is_no_answer(self, client, serving, doors):
        doors.status = 500
        with pytest.raises(Misunderstood, match="500"):
            client.facts(HOST, serving())

    def test_a_server_of_this_kind_takes_no_client_without_a_certificate(self, tmp_path, client, serving):
        url = serving()
        context = ssl.create_default_context(cafile=str(tmp_path / "pki" / "ca.pem"))
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{url}/v1/facts", verify=context, trust_env=False)
