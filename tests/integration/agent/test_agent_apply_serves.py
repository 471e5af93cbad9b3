# SPDX-License-Identifier: Apache-2.0
"""A wish comes into force, with the least that leads there, and no request is lost on the way."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
from support.load import Load, who
from support.lone_agent import Backends, Listener, LoneAgent, member
from support.machine import eventually

from ottava.agent.runtime import Runtime
from ottava.wire.applied import Outcome


def test_a_created_amphora_serves(agent: LoneAgent, members: Backends) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a")), member(agent.gateway, members("b"))]))
    assert agent.serve(wish).generation == wish.generation
    assert set(who(agent.vip, 80, number=4)) == {"a", "b"}
    assert agent.state(wish.amphora_id).digest == wish.digest


def test_the_same_wish_again_does_nothing(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    assert agent.serve(wish).actions
    pid = agent.pid(wish)
    assert agent.serve(wish).actions == ()
    again = msgspec.structs.replace(wish, generation=wish.generation + 1)
    answer = agent.serve(again)
    assert (answer.actions, answer.generation) == ((), wish.generation + 1)
    assert agent.pid(wish) == pid


def test_member_changes_need_no_new_process_and_lose_no_request(agent: LoneAgent, members: Backends) -> None:
    a, b, c = (member(agent.gateway, members(name)) for name in "abc")
    listener = Listener(80, [a, b])
    wish = agent.wish(listener)
    agent.serve(wish)
    pid = agent.pid(wish)

    def change(*servers: object) -> None:
        listener.servers = servers  # type: ignore[assignment]
        answer = agent.serve(agent.wish(listener, amphora_id=wish.amphora_id, loadbalancer_id=wish.loadbalancer_id))
        assert not [each for each in answer.actions if "haproxy" in each], answer

    with Load(agent.vip) as load:
        assert set(load.more(300)) == {"a", "b"}
        change(a, b, c)
        assert set(load.more(300)) == {"a", "b", "c"}
        change(msgspec.structs.replace(a, weight=0), b, c)
        load.more(20)
        assert set(load.more(300)) == {"b", "c"}
        change(a, b, msgspec.structs.replace(c, enabled=False))
        load.more(20)
        assert set(load.more(300)) == {"a", "b"}
        change(msgspec.structs.replace(a, weight=3), b, c)
        load.more(20)
        shares = load.more(500)
        assert shares["a"] > shares["b"] + shares["c"] / 2 > 0
        change(b)
        load.more(20)
        assert set(load.more(300)) == {"b"}
        change(msgspec.structs.replace(a, name=c.name), b)
        load.more(20)
        assert set(load.more(300)) == {"a", "b"}
    assert not load.failures
    assert agent.pid(wish) == pid


def test_a_removed_member_finishes_what_it_has(agent: LoneAgent, members: Backends) -> None:
    a, b = member(agent.gateway, members("a")), member(agent.gateway, members("b"))
    listener = Listener(80, [a])
    wish = agent.wish(listener)
    agent.serve(wish)
    with Load(agent.vip, threads=2) as load:
        answers = []
        slow = threading.Thread(target=lambda: answers.append(who(agent.vip, 80, "/slow")))
        slow.start()
        load.more(20)
        listener.servers = [b]
        agent.serve(agent.wish(listener, amphora_id=wish.amphora_id))
        slow.join()
        load.more(50)
    assert not load.failures
    assert answers == [{"a": 1}]
    assert set(agent.reports()[0].pools[listener.backend].members) == {b.name}
    path = agent.folder / "run/amphorae" / wish.amphora_id / "haproxy.sock"
    with Runtime(path, agent.pid(wish)) as runtime:
        eventually(lambda: {name for _, name in runtime.servers()} == {b.name})


def test_a_new_listener_is_a_reload_that_loses_nothing(agent: LoneAgent, members: Backends) -> None:
    first = Listener(80, [member(agent.gateway, members("a"), checked=True)])
    second = Listener(81, [member(agent.gateway, members("b"))])
    wish = agent.wish(first)
    agent.serve(wish)
    pid = agent.pid(wish)
    with Load(agent.vip) as load:
        load.more(300)
        for listeners in ([first, second], [first], [first, second]):
            answer = agent.serve(agent.wish(*listeners, amphora_id=wish.amphora_id))
            assert [each for each in answer.actions if each.startswith("reloaded haproxy")], answer
            load.more(700)
    assert not load.failures
    assert set(who(agent.vip, 81)) == {"b"}
    assert agent.pid(wish) != pid


def test_a_server_known_to_be_down_stays_so_over_a_reload(agent: LoneAgent, members: Backends) -> None:
    """Without that, each reload would send requests to dead members until they are checked."""
    with socket.socket() as port:
        port.bind(("0.0.0.0", 0))
        good = member(agent.gateway, members("a"), checked=True)
        bad = member(agent.gateway, port.getsockname()[1], checked=True, arguments="check inter 60s rise 3 fall 1")
        first = Listener(80, [bad, good])
        wish = agent.wish(first)
        agent.serve(wish)

        def status() -> str:
            return agent.reports()[0].pools[first.backend].members[bad.name]

        eventually(lambda: status() == "DOWN")
        port.listen()
        agent.serve(agent.wish(first, Listener(81, [good]), amphora_id=wish.amphora_id))
        assert status() == "DOWN"
        assert set(who(agent.vip, 80, number=4)) == {"a"}


def test_members_by_ipv6_and_sticky_cookies_come_at_run_time_too(agent: LoneAgent, members: Backends) -> None:
    cookies = ("cookie SRV insert indirect nocache dynamic", "dynamic-cookie-key secret")
    listener = Listener(80, [member(agent.gateway, members("a"))], pool=cookies, cookie_key="secret")
    wish = agent.wish(listener)
    agent.serve(wish)
    pid = agent.pid(wish)
    listener.servers = [member(agent.slot.address6(1), members("b"))]
    agent.serve(agent.wish(listener, amphora_id=wish.amphora_id))
    listener.servers = [*listener.servers, member(agent.gateway, members("a"))]
    agent.serve(agent.wish(listener, amphora_id=wish.amphora_id))
    assert agent.pid(wish) == pid
    with httpx.Client(base_url=f"http://{agent.vip}", trust_env=False) as client:
        first = client.get("/").text
        assert client.cookies.get("SRV")
        assert {client.get("/").text for _ in range(6)} == {first}
    assert set(who(agent.vip, 80, number=4)) == {"a", "b"}


def test_of_orders_at_the_same_time_the_newest_wins(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    orders = [wish]
    for number in range(1, 12):
        listener.servers = [member(agent.gateway, members("a"), weight=number)]
        orders.append(agent.wish(listener, amphora_id=wish.amphora_id))
    with ThreadPoolExecutor(len(orders)) as pool:
        answers = list(pool.map(agent.put, reversed(orders)))
    assert {each.outcome for each in answers} <= {Outcome.SERVING, Outcome.FENCED}
    assert agent.state(wish.amphora_id).digest == orders[-1].digest
    agent.pid(wish)


def test_only_the_newest_of_several_orders_counts(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    agent.serve(wish)
    agent.epoch = 3
    newer = agent.wish(listener, amphora_id=wish.amphora_id)
    agent.serve(newer)
    for epoch, generation in ((2, 99), (3, newer.generation - 1), (1, 1)):
        stale = msgspec.structs.replace(wish, epoch=epoch, generation=generation)
        answer = agent.put(stale)
        assert (answer.outcome, answer.epoch, answer.generation) == (Outcome.FENCED, 3, newer.generation), answer
    agent.generation = 1
    assert agent.delete(wish, epoch=2).outcome is Outcome.FENCED
    assert set(who(agent.vip, 80)) == {"a"}


def test_a_fence_outlives_the_agent_and_the_amphora(agent: LoneAgent, members: Backends) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    agent.serve(wish)
    assert agent.delete(wish).outcome is Outcome.ABSENT
    agent.stop()
    agent.start()
    assert agent.put(wish).outcome is Outcome.FENCED
    assert agent.left() == []


def test_a_removed_amphora_leaves_nothing(agent: LoneAgent, members: Backends) -> None:
    wish = agent.wish(Listener(80, [member(agent.gateway, members("a"))]))
    other = agent.wish(
        Listener(80, [member(agent.gateway, members("a"))]),
        interfaces=(
            msgspec.structs.replace(
                agent.interface, mac="02:00:00:00:00:06", addresses=(f"{agent.slot.address(6)}/24",)
            ),
        ),
    )
    assert other.proxy
    text = other.proxy.text.replace(agent.vip, agent.slot.address(6))
    other = msgspec.structs.replace(other, proxy=msgspec.structs.replace(other.proxy, text=text))
    agent.serve(wish)
    agent.put(other)
    assert agent.delete(wish).outcome is Outcome.ABSENT
    assert not [each for each in agent.left() if wish.amphora_id in each]
    assert set(who(agent.slot.address(6), 80)) == {"a"}
    assert agent.delete(other).outcome is Outcome.ABSENT
    assert agent.left() == []
    assert agent.delete(other).outcome is Outcome.ABSENT
    assert agent.state(other.amphora_id).outcome is Outcome.ABSENT
    assert agent.reports() == []
