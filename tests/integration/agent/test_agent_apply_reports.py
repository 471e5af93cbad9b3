# SPDX-License-Identifier: Apache-2.0
"""What the agent says of its amphorae: statuses as they flip, counters that never fall."""

import os
import signal
import socket
import threading

from support.load import Load, who
from support.lone_agent import Backends, Listener, LoneAgent, member, ping
from support.machine import eventually

from ottava.wire.heartbeat import Counters, Report


def listener_report(agent: LoneAgent, listener: Listener) -> Counters:
    return agent.reports()[0].listeners[listener.id].counters


def status(report: Report | None, listener: Listener, name: str) -> str:
    return report.pools[listener.backend].members[name] if report and listener.backend in report.pools else ""


def test_heartbeats_say_what_there_is(agent: LoneAgent, members: Backends) -> None:
    a = member(agent.gateway, members("a"))
    off = member(agent.gateway, members("a"), enabled=False)
    drained = member(agent.gateway, members("a"), weight=0)
    listener = Listener(80, [a, off, drained])
    wish = agent.wish(listener)
    agent.serve(wish)
    report = eventually(lambda: agent.receiver.last(wish.amphora_id))
    assert (report.loadbalancer_id, report.epoch, report.generation, report.digest, report.running) == (
        wish.loadbalancer_id,
        wish.epoch,
        wish.generation,
        wish.digest,
        True,
    )
    assert report.listeners[listener.id].status == "OPEN"
    assert report.pools[listener.backend].status == "UP"
    assert report.pools[listener.backend].members == {a.name: "no check", off.name: "MAINT", drained.name: "DRAIN"}
    heard = agent.receiver.heard
    assert [message.sequence for message in heard] == sorted({message.sequence for message in heard})
    assert {message.host for message in heard} == {"laptop"}
    assert heard[-1].url == agent.url
    assert heard[-1].facts.haproxy >= (2, 6)
    assert agent.delete(wish).digest == ""
    eventually(lambda: not agent.receiver.heard[-1].partial and agent.receiver.heard[-1].reports == ())


def test_a_member_that_goes_down_is_told_before_the_next_full_heartbeat(agent: LoneAgent, members: Backends) -> None:
    a, b = (member(agent.gateway, members(name), checked=True) for name in "ab")
    listener = Listener(80, [a, b])
    wish = agent.wish(listener)
    agent.serve(wish)
    eventually(lambda: status(agent.receiver.last(wish.amphora_id), listener, b.name) == "UP")
    before = len(agent.receiver.heard)
    members.stop("b")
    eventually(lambda: status(agent.receiver.last(wish.amphora_id), listener, b.name) == "DOWN")
    assert any(
        message.partial and status(message.reports[0], listener, b.name) == "DOWN"
        for message in agent.receiver.heard[before:]
        if message.reports
    )


def test_a_full_listener_is_full(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))], more=["maxconn 1"])
    wish = agent.wish(listener)
    agent.serve(wish)
    with socket.create_connection((agent.vip, 80)):
        eventually(lambda: agent.reports()[0].listeners[listener.id].status == "FULL")
    eventually(lambda: agent.reports()[0].listeners[listener.id].status == "OPEN")


def test_counters_survive_reloads_and_the_agent(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    agent.serve(wish)
    number = 0

    def ask(times: int) -> None:
        nonlocal number
        who(agent.vip, 80, number=times)
        number += times
        eventually(lambda: listener_report(agent, listener).total_connections == number, f"{number} are wanted")

    ask(7)
    agent.serve(agent.wish(listener, Listener(81), amphora_id=wish.amphora_id))
    ask(5)
    agent.stop()
    agent.start()
    ask(3)
    agent.stop()
    agent.start()
    agent.serve(agent.wish(listener, amphora_id=wish.amphora_id))
    ask(2)
    os.kill(agent.pid(wish), signal.SIGKILL)
    eventually(lambda: set(who(agent.vip, 80)) == {"a"} if agent.reports()[0].running else None)
    number += 1
    ask(4)
    with socket.create_connection((agent.vip, 80)):
        eventually(lambda: listener_report(agent, listener).active_connections == 1)
        number += 1
        agent.stop()
        os.kill(agent.pid(wish), signal.SIGKILL)
        agent.start()
        eventually(lambda: agent.reports()[0].running)
    ask(1)
    eventually(lambda: listener_report(agent, listener).active_connections == 0)
    counters = listener_report(agent, listener)
    assert counters.bytes_in > number * 20
    assert counters.bytes_out > number * 20


def test_what_an_old_process_finishes_is_counted(agent: LoneAgent, members: Backends) -> None:
    listener = Listener(80, [member(agent.gateway, members("a"))])
    wish = agent.wish(listener)
    agent.serve(wish)
    slow = threading.Thread(target=who, args=(agent.vip, 80, "/slow"))
    slow.start()
    eventually(lambda: listener_report(agent, listener).active_connections == 1)
    agent.serve(agent.wish(listener, Listener(81), amphora_id=wish.amphora_id))
    assert listener_report(agent, listener).active_connections == 1
    slow.join()
    agent.pid(wish)
    eventually(lambda: listener_report(agent, listener).active_connections == 0)
    counters = listener_report(agent, listener)
    assert counters.total_connections == 1
    assert counters.bytes_out > 20


def test_a_ping_decides_over_a_member(agent: LoneAgent, members: Backends) -> None:
    a, b = member(agent.gateway, members("a")), member(agent.gateway, members("b"))
    listener = Listener(80, [a, b])
    nowhere = agent.slot.address(99)
    probes = (ping(listener, a, agent.slot.address6(1)), ping(listener, b, nowhere))
    wish = agent.wish(listener, probes=probes)
    agent.serve(wish)
    eventually(lambda: status(agent.receiver.last(wish.amphora_id), listener, b.name) == "DOWN")
    eventually(lambda: status(agent.receiver.last(wish.amphora_id), listener, a.name) == "UP")
    eventually(lambda: set(who(agent.vip, 80, number=4)) == {"a"})
    with Load(agent.vip) as load:
        load.more(50)
        agent.serve(agent.wish(listener, Listener(81), amphora_id=wish.amphora_id, probes=probes))
        assert set(load.more(200)) == {"a"}
    os.kill(agent.pid(wish), signal.SIGKILL)
    eventually(lambda: agent.reports()[0].running)
    eventually(lambda: set(who(agent.vip, 80, number=4)) == {"a"})
    better = (probes[0], ping(listener, b, agent.gateway))
    agent.serve(agent.wish(listener, Listener(81), amphora_id=wish.amphora_id, probes=better))
    eventually(lambda: set(who(agent.vip, 80, number=4)) == {"a", "b"})
    agent.serve(agent.wish(listener, Listener(81), amphora_id=wish.amphora_id, probes=probes))
    eventually(lambda: set(who(agent.vip, 80, number=4)) == {"a"})
    agent.serve(agent.wish(listener, Listener(81), amphora_id=wish.amphora_id))
    assert set(who(agent.vip, 80, number=4)) == {"a", "b"}
