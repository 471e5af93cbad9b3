# SPDX-License-Identifier: Apache-2.0
"""Traffic outlives the agent; what was taken away comes back; what nobody wishes goes."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable

import msgspec
import pytest
from support.load import Load, who
from support.lone_agent import Backends, Listener, LoneAgent, member
from support.machine import eventually

from ottava.agent import links, namespaces
from ottava.agent.runtime import Runtime
from ottava.wire.applied import Outcome


def serves(agent: LoneAgent) -> bool:
    try:
        return set(who(agent.vip, 80)) == {"a"}
    except OSError:
        return False


def test_killing_the_agent_stops_no_traffic_and_a_new_one_takes_over(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    agent.serve(wish)
    pid = agent.pid(wish)
    with Load(agent.vip) as load:
        load.more(100)
        agent.stop(signal.SIGKILL)
        load.more(300)
        agent.start()
        load.more(100)
        assert agent.serve(wish).actions == ()
        listener.servers = [member(agent.gateway, members("b"))]
        agent.serve(agent.wish(listener, amphora_id=wish.amphora_id))
        load.more(20)
        assert set(load.more(100)) == {"b"}
    assert not load.failures
    assert agent.pid(wish) == pid


def test_stopping_the_agent_touches_nothing(agent: LoneAgent, members: Backends) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    pid = agent.pid(wish)
    assert agent.stop() == 0
    assert serves(agent)
    assert agent.pid(wish) == pid


@pytest.mark.parametrize("running", [True, False], ids=["at once", "at its start"])
def test_a_killed_haproxy_comes_back(agent: LoneAgent, members: Backends, running: bool) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    pid = agent.pid(wish)
    if not running:
        agent.stop()
    os.kill(pid, signal.SIGKILL)
    if not running:
        agent.start()
    eventually(lambda: serves(agent))
    assert agent.pid(wish) != pid
    eventually(lambda: agent.state(wish.amphora_id).outcome is Outcome.SERVING)


@pytest.mark.parametrize("running", [True, False], ids=["by itself", "at its start"])
def test_a_deleted_namespace_gets_its_name_back_without_a_gap(
    agent: LoneAgent, members: Backends, running: bool
) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    pid = agent.pid(wish)
    with Load(agent.vip) as load:
        load.more(50)
        if not running:
            agent.stop()
        subprocess.run(["ip", "netns", "del", agent.namespace(wish)], check=True)
        if not running:
            agent.start()
        eventually(lambda: namespaces.exists(agent.namespace(wish)))
        load.more(50)
    assert not load.failures
    assert agent.pid(wish) == pid


def test_an_amphora_of_which_only_the_files_are_left_is_made_again(agent: LoneAgent, members: Backends) -> None:
    """As after a reboot of the host."""
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    agent.stop()
    os.kill(agent.pid(wish), signal.SIGKILL)
    namespaces.delete(agent.namespace(wish))
    links.remove_bridge(agent.interface.bridge.name)
    agent.start()
    eventually(lambda: serves(agent))
    assert agent.state(wish.amphora_id).digest == wish.digest


@pytest.mark.parametrize("running", [True, False], ids=["at once", "at its start"])
def test_a_deleted_bridge_comes_back(agent: LoneAgent, members: Backends, running: bool) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    if not running:
        agent.stop()
    subprocess.run(["ip", "link", "del", agent.interface.bridge.name], check=True)
    if not running:
        agent.start()
    eventually(lambda: serves(agent))


def test_a_deleted_link_comes_back(agent: LoneAgent, members: Backends) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    subprocess.run(["ip", "link", "del", links.host_end(agent.tag, agent.namespace(wish), "net0")], check=True)
    eventually(lambda: serves(agent))


def test_what_someone_changed_by_the_runtime_socket_is_put_right(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    agent.serve(wish)
    agent.stop()
    with Runtime(agent.folder / "run/amphorae" / wish.amphora_id / "haproxy.sock", agent.pid(wish)) as runtime:
        runtime.say(f"set server {listener.backend}/{listener.servers[0].name} state maint")
        runtime.say(f"add server {listener.backend}/stranger 127.0.0.1:1")
        runtime.say(f"enable server {listener.backend}/stranger")
    agent.start()
    eventually(lambda: agent.state(wish.amphora_id).outcome is Outcome.SERVING)
    eventually(lambda: set(who(agent.vip, 80, number=5)) == {"a"})


def test_orphans_are_removed_and_nothing_else(agent: LoneAgent, members: Backends) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    orphan = agent.wish(
        Listener(80, [member(agent.gateway, members("a"))]),
        interfaces=(msgspec.structs.replace(agent.interface, name="net1", addresses=(agent.slot.address(6) + "/24",)),),
    )
    agent.serve(wish)
    assert orphan.proxy
    text = orphan.proxy.text.replace(f"bind {agent.vip}", f"bind {agent.slot.address(6)}")
    agent.put(msgspec.structs.replace(orphan, proxy=msgspec.structs.replace(orphan.proxy, text=text)))
    assert agent.pids(orphan)
    agent.stop()
    (agent.folder / "state/amphorae" / orphan.amphora_id / "desired.json").unlink()
    stranger = f"{agent.tag}-somebody-else"
    namespaces.ensure(stranger)
    agent.start()
    eventually(lambda: not agent.pids(orphan))
    eventually(lambda: not [each for each in agent.left() if orphan.amphora_id in each])
    assert namespaces.exists(stranger)
    assert serves(agent)


def listens(address: str, port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((address, port)) == 0


STAGES = ["stored", "namespace", "interfaces", "files", "started", "committed"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_crash_anywhere_while_creating_does_no_harm(lone: Callable[..., LoneAgent], stage: str) -> None:
    agent, backends = lone(), Backends()
    try:
        wish = agent.wish(Listener(80, [member(agent.gateway, backends("a"))]))
        agent.start(OTTAVA_CRASH_AT=f"agent:{stage}")
        with pytest.raises(Exception):  # noqa: B017, PT011
            agent.put(wish)
        assert agent.ended() == -signal.SIGKILL
        agent.start()
        agent.serve(wish)
        assert serves(agent)
        assert len(agent.pids(wish)) == 1
        assert agent.delete(wish).outcome is Outcome.ABSENT
        assert agent.left() == []
    finally:
        backends.close()


@pytest.mark.parametrize("kind", ["server", "listener"])
@pytest.mark.parametrize("stage", ["stored", "files", "started", "committed"])
def test_a_crash_anywhere_while_changing_loses_no_request(
    lone: Callable[..., LoneAgent], stage: str, kind: str
) -> None:
    agent, backends = lone(), Backends()
    try:
        a, b = member(agent.gateway, backends("a")), member(agent.gateway, backends("b"))
        listener = Listener(80, [a])
        wish = agent.wish(listener)
        agent.start()
        agent.serve(wish)
        agent.stop()
        agent.start(OTTAVA_CRASH_AT=f"agent:{stage}")
        listener.servers = [a, b]
        more = [Listener(81)] if kind == "listener" else []
        changed = agent.wish(listener, *more, amphora_id=wish.amphora_id)
        with Load(agent.vip) as load:
            load.more(50)
            with pytest.raises(Exception):  # noqa: B017, PT011
                agent.put(changed)
            assert agent.ended() == -signal.SIGKILL
            load.more(50)
            agent.start()
            load.more(50)
            force = agent.state(wish.amphora_id).digest
            assert force in {wish.digest, changed.digest}
            expected = {"a", "b"} if force == changed.digest else {"a"}
            eventually(lambda: set(who(agent.vip, 80, number=6)) == expected)
            assert listens(agent.vip, 81) == (force == changed.digest and kind == "listener")
            agent.serve(changed)
            load.more(20)
            assert set(load.more(100)) == {"a", "b"}
        assert not load.failures
        agent.pid(wish)
        assert agent.serve(changed).actions == ()
    finally:
        backends.close()


def test_a_crash_while_removing_does_no_harm(lone: Callable[..., LoneAgent]) -> None:
    agent, backends = lone(), Backends()
    try:
        wish = agent.wish(Listener(80, [member(agent.gateway, backends("a"))]))
        agent.start(OTTAVA_CRASH_AT="agent:removing")
        agent.serve(wish)
        with pytest.raises(Exception):  # noqa: B017, PT011
            agent.delete(wish)
        assert agent.ended() == -signal.SIGKILL
        agent.start()
        assert agent.delete(wish).outcome is Outcome.ABSENT
        assert agent.left() == []
    finally:
        backends.close()
