# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a host is said in words, and what served before serves on."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from support.load import Load, who
from support.lone_agent import Authority, Backends, Listener, LoneAgent, member
from support.machine import eventually

from ottava.agent import namespaces
from ottava.wire.applied import Outcome
from ottava.wire.desired import Desired


@contextlib.contextmanager
def taken(namespace: str, address: str, port: int) -> Iterator[None]:
    """Another process has the port, inside the namespace."""
    with namespaces.inside(namespace):
        other = socket.socket()
    with other:
        other.bind((address, port))
        other.listen()
        yield


def files_of(agent: LoneAgent, wish: Desired) -> dict[str, bytes]:
    folder = agent.folder / "state" / "amphorae" / wish.amphora_id
    return {name: (folder / name).read_bytes() for name in ("haproxy.cfg", "desired.json")}


def test_a_refused_configuration_leaves_the_last_good_one_in_force(agent: LoneAgent, members: Backends) -> None:
    good = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(good)
    agent.serve(wish)
    before = files_of(agent, wish)
    pid = agent.pid(wish)
    bad = Listener(81, [member(agent.gateway, members("a"))], more=["http-request nonsense"])
    with Load(agent.vip) as load:
        load.more(50)
        answer = agent.put(agent.wish(good, bad, amphora_id=wish.amphora_id))
        load.more(50)
    assert not load.failures
    assert answer.outcome is Outcome.REFUSED
    assert answer.culprits == (bad.id,)
    assert "nonsense" in answer.fault
    assert str(agent.folder) not in answer.fault
    assert (answer.digest, answer.generation) == (wish.digest, wish.generation)
    assert files_of(agent, wish) == before
    assert agent.pid(wish) == pid
    agent.stop()
    agent.start()
    assert agent.state(wish.amphora_id).digest == wish.digest
    assert agent.pid(wish) == pid


def test_a_refused_member_blames_the_member(agent: LoneAgent, members: Backends) -> None:
    good, bad = member(agent.gateway, members("a")), member(agent.gateway, members("a"), arguments="nonsense")
    answer = agent.put(agent.wish(Listener(80, [good, bad])))
    assert (answer.outcome, answer.culprits, answer.digest) == (Outcome.REFUSED, (bad.name,), "")
    answer = agent.serve(agent.wish(Listener(80, [good]), amphora_id=answer.amphora_id))
    added = agent.wish(Listener(80, [good, bad]), amphora_id=answer.amphora_id)
    refused = agent.put(added)
    assert (refused.outcome, refused.culprits, refused.digest) == (Outcome.REFUSED, (bad.name,), answer.digest)
    assert set(who(agent.vip, 80)) == {"a"}


def test_a_refused_change_of_several_members_takes_none_of_them(agent: LoneAgent, members: Backends) -> None:
    a, b = member(agent.gateway, members("a")), member(agent.gateway, members("b"))
    listener = Listener(80, [a])
    wish = agent.wish(listener)
    agent.serve(wish)
    listener.servers = [a, b, member(agent.gateway, members("a"), arguments="nonsense")]
    assert agent.put(agent.wish(listener, amphora_id=wish.amphora_id)).outcome is Outcome.REFUSED
    assert set(who(agent.vip, 80, number=6)) == {"a"}


def test_a_taken_port_is_explained_and_heals(agent: LoneAgent, members: Backends) -> None:
    first, second = (Listener(port, [member(agent.gateway, members("a"))]) for port in (80, 81))
    wish = agent.wish(first)
    agent.serve(wish)
    both = agent.wish(first, second, amphora_id=wish.amphora_id)
    with Load(agent.vip) as load, taken(agent.namespace(wish), agent.vip, 81):
        load.more(50)
        answer = agent.put(both)
        load.more(50)
    assert not load.failures
    assert answer.outcome is Outcome.FAILED
    assert "in use" in answer.fault
    assert answer.digest == wish.digest
    assert agent.serve(both).digest == both.digest
    assert set(who(agent.vip, 81)) == {"a"}


def test_a_missing_binary_is_explained_and_heals(lone: Callable[..., LoneAgent]) -> None:
    folder = Path("/tmp") / f"ta-bin-{threading.get_native_id()}"
    binary = folder / "haproxy"
    folder.mkdir()
    try:
        agent = lone(haproxy=str(binary))
        agent.start()
        assert agent.facts().haproxy == ()
        wish = agent.wish(Listener(80))
        answer = agent.put(wish)
        assert answer.outcome is Outcome.FAILED
        assert "haproxy" in answer.fault
        binary.symlink_to(str(shutil.which("haproxy")))
        assert agent.facts().haproxy >= (2, 6)
        agent.serve(wish)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_is_explained_and_heals(lone: Callable[..., LoneAgent], small: Path) -> None:
    agent = lone(state_dir=str(small))
    agent.start()
    backends = Backends()
    try:
        a, b = member(agent.gateway, backends("a")), member(agent.gateway, backends("b"))
        listener = Listener(80, [a])
        wish = agent.wish(listener)
        agent.serve(wish)
        pid = agent.pid(wish)
        filler = small / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        listener.servers = [a, b]
        changed = agent.wish(listener, amphora_id=wish.amphora_id)
        for order in (changed, agent.wish(listener, Listener(81), amphora_id=wish.amphora_id), agent.wish(listener)):
            answer = agent.put(order)
            assert answer.outcome is Outcome.FAILED
            assert "No space left" in answer.fault
        assert set(who(agent.vip, 80, number=4)) == {"a"}
        assert agent.state(wish.amphora_id).digest == wish.digest
        assert agent.pid(wish) == pid
        filler.unlink()
        again = agent.wish(listener, amphora_id=wish.amphora_id)
        agent.serve(again)
        assert set(who(agent.vip, 80, number=4)) == {"a", "b"}
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        assert agent.delete(wish).outcome is Outcome.ABSENT
        assert agent.put(again).outcome is Outcome.FENCED
    finally:
        backends.close()
        agent.stop()


def test_only_a_controller_is_heard(agent: LoneAgent) -> None:
    wish = agent.wish(Listener(80))
    body = msgspec.json.encode(wish)
    path = f"{agent.url}/v1/amphorae/{wish.amphora_id}"
    for uri in ("ottava:health", "ottava:agent:laptop", "ottava:controller:x"):
        with httpx.Client(verify=agent.authority.client("other", uri), trust_env=False) as client:
            assert client.put(path, content=body).status_code == 403
            assert client.get(f"{agent.url}/v1/facts").status_code == 403
    stranger = Authority(agent.folder / "stranger").client("controller", "ottava:controller")
    stranger.load_verify_locations(agent.authority.path)
    with httpx.Client(verify=stranger, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.put(path, content=body)
    assert agent.left() == []


def test_a_message_that_cannot_be_read_changes_nothing(agent: LoneAgent) -> None:
    wish = agent.wish(Listener(80))
    body = msgspec.json.encode(wish)
    other = msgspec.json.encode(msgspec.structs.replace(wish, version=99))
    for path, content in (
        (wish.amphora_id, b"{"),
        (wish.amphora_id, b"{}"),
        (wish.amphora_id, b"\xff"),
        (wish.amphora_id, other),
        (agent.wish().amphora_id, body),
        ("nonsense", body),
        ("..%2f..", body.replace(wish.amphora_id.encode(), b"../..")),
    ):
        answer = agent.client.put(f"/v1/amphorae/{path}", content=content)
        assert answer.status_code in {400, 404}, (path, answer.text)
    assert agent.client.delete(f"/v1/amphorae/{wish.amphora_id}").status_code == 400
    assert agent.left() == []


def test_new_certificates_are_taken_without_a_restart(agent: LoneAgent) -> None:
    def serial() -> str:
        context = agent.authority.client("controller", "ottava:controller")
        with (
            socket.create_connection(("127.0.0.1", agent.port)) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.1") as tls,
        ):
            peer = tls.getpeercert()
            assert peer
            return str(peer["serialNumber"])

    old = serial()
    agent.authority.issue("agent", "ottava:agent:laptop")
    eventually(lambda: serial() != old)
    heard = len(agent.receiver.heard)
    eventually(lambda: len(agent.receiver.heard) > heard + 1)
