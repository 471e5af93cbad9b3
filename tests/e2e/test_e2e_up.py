# SPDX-License-Identifier: Apache-2.0
"""`ottava up` and `ottava down`, as a person meets them."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.load import who
from support.machine import Failed, Machine, eventually

from ottava.agent import namespaces


def test_it_says_in_words_what_a_person_can_put_right(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up()
    assert "runs there already" in own.ottava("up", ok=False)
    assert "there is no load balancer 'nothing'" in own.ottava("why", "nothing", ok=False)
    assert "Failed to parse" in own.ottava("up", "--config-file", "/etc/passwd", ok=False)
    for said in (own.words(), own.ottava("up", ok=False)):
        assert "Traceback" not in said


def test_noauth_is_for_loopback_alone(machine: Callable[..., Machine]) -> None:
    own = machine({"api": {"bind_host": "0.0.0.0"}})
    said = own.ottava("api", ok=False)
    assert "binds to loopback only" in said
    assert "Traceback" not in said


def test_nothing_listens_beyond_loopback(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up()
    listening = subprocess.run(["ss", "-Hltnup"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [line for line in listening if any(f"pid={pid}," in line for pid in own.pids())]
    assert len(ours) >= 3
    assert [line for line in ours if "127.0.0.1:" not in line.split()[4]] == []


def test_a_port_that_is_taken_is_named(machine: Callable[..., Machine]) -> None:
    own = machine()
    with socket.create_server(("127.0.0.1", own.api_port)), pytest.raises(Failed) as failure:
        own.up()
    assert f"cannot listen on 127.0.0.1 port {own.api_port}" in str(failure.value)
    assert own.running() == []


_AS_NOBODY = """
import os, sys
from ottava.cmd import main, up, down
os.setegid(65534), os.seteuid(65534)
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["up", "down"])
def test_it_needs_root_and_says_so(command: str) -> None:
    words = [sys.executable, "-c", _AS_NOBODY, command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ottava {command}: needs root")


def test_state_is_for_its_owner_alone(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up()
    assert own.state.stat().st_mode & 0o777 == 0o700
    assert own.run_dir.stat().st_mode & 0o777 == 0o700
    readable = [path for path in own.state.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert readable == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_ends_its_processes(machine: Callable[..., Machine], number: int) -> None:
    own = machine()
    own.up()
    assert {each.role for each in own.running()} == {"up", "api", "agent", "controller", "health"}
    assert own.stop(number) == 0
    assert own.running() == []


def test_the_demonstration_serves_and_comes_up_again_with_what_was_there(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up("--demo", until="Load balancer ACTIVE")
    assert "10 requests: web-1 5, web-2 5\n" in own.lines
    vip = _vip(own)
    first = own.ask("GET", "loadbalancers")["loadbalancers"]
    assert who(vip, number=4) == {"web-1": 2, "web-2": 2}
    own.stop(signal.SIGINT)
    assert who(vip, number=4) == {"web-1": 2, "web-2": 2}
    own.up("--demo", until="Load balancer ACTIVE")
    assert _vip(own) == vip
    assert [each["id"] for each in own.ask("GET", "loadbalancers")["loadbalancers"]] == [first[0]["id"]]
    said = own.ottava("down")
    assert f"{own.slot.tag}-demo-web-1" in said
    assert own.left() == []
    own.process = None
    own.up("--demo", until="Load balancer ACTIVE")
    assert _vip(own) == vip


def _vip(own: Machine) -> str:
    for line in own.lines:
        found = re.fullmatch(r"Load balancer ACTIVE: http://([0-9.]+):80/\n", line)
        if found:
            return found[1]
    raise AssertionError(own.lines)


def test_the_commands_that_the_demonstration_prints_work(machine: Callable[..., Machine]) -> None:
    own = machine()
    own.up("--demo", until="^C")
    said = "".join(own.lines)
    exports = re.search(r"export (\S+) (\S+)", said)
    assert exports
    environment = {**os.environ, **dict(each.split("=", 1) for each in exports.groups())}
    commands = [line.strip() for line in said.splitlines() if line.startswith("  ") and "loadbalancer" in line]
    assert len(commands) >= 3
    for command in commands:
        if command.startswith(("curl", "/")):
            done = subprocess.run(command.split(), env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}: {done.stderr}"
    clouds = own.folder / "clouds.yaml"
    clouds.write_text(
        "\n".join(line[2:] for line in said[said.index("  clouds:") :].splitlines() if line.startswith("  "))
    )
    done = subprocess.run(
        [str(Path(own.command("up")[0]).parent / "openstack"), "--os-cloud", "ottava", "loadbalancer", "list"],
        env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(clouds)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_down_removes_what_is_ours_and_nothing_else(machine: Callable[..., Machine]) -> None:
    own, other = machine(), machine()
    stranger = f"x{own.slot.tag}-{own.slot.tag}"
    namespaces.ensure(stranger)
    try:
        own.up("--demo", until="Load balancer ACTIVE")
        other.up("--demo", until="Load balancer ACTIVE")
        own.down()
        assert namespaces.exists(stranger)
        assert who(_vip(other), number=2) == {"web-1": 1, "web-2": 1}
        assert own.state.exists()
        own.ottava("down", "--purge")
        assert not own.state.exists()
        assert not own.run_dir.exists()
    finally:
        namespaces.delete(stranger)


def test_a_process_that_was_started_alone_is_taken_down_too(machine: Callable[..., Machine]) -> None:
    own = machine()
    with own.log.open("w") as log:
        agent = subprocess.Popen(own.command("agent"), stderr=log)
    eventually(lambda: own.running() != [])
    own.ottava("down")
    assert agent.wait(20) is not None
    assert own.left() == []
