# SPDX-License-Identifier: Apache-2.0
"""Wake-ups: they arrive, and where they cannot, nothing happens."""

import socket
import subprocess
import sys
import time

import pytest

from ottava.store.wakeup import Wakeup


@pytest.fixture
def wakeup(tmp_path):
    return Wakeup(tmp_path)


def test_every_listener_is_woken_once(wakeup):
    with wakeup.listen() as first, wakeup.listen() as second:
        assert not first.wait(0)
        wakeup.send()
        wakeup.send()
        assert first.wait(0)
        assert second.wait(30)
        assert not first.wait(0.01)


def test_another_process_is_woken(wakeup, tmp_path):
    code = """import sys
from ottava.store.wakeup import Wakeup
with Wakeup(sys.argv[1]).listen() as ear:
    print("listening", flush=True)
    sys.exit(not ear.wait(60))"""
    listener = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert listener.stdout.readline()
    wakeup.send()
    assert listener.wait(60) == 0


def test_nobody_listening_is_no_failure(tmp_path):
    Wakeup(tmp_path / "none").send()
    (tmp_path / "file").write_text("")
    Wakeup(tmp_path / "file").send()


def test_sockets_of_the_dead_are_cleared_away(wakeup, tmp_path):
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with wakeup.listen() as ear:
        dead.bind(str(tmp_path / "wakeups" / "dead"))
        dead.close()
        assert len(list((tmp_path / "wakeups").iterdir())) == 2
        wakeup.send()
        assert ear.wait(0)
        assert len(list((tmp_path / "wakeups").iterdir())) == 1
    assert list((tmp_path / "wakeups").iterdir()) == []


def test_a_listener_that_sleeps_blocks_nobody(wakeup):
    with wakeup.listen() as ear:
        for _ in range(1000):
            wakeup.send()
        assert ear.wait(0)


def test_a_long_path_will_do(tmp_path):
    wakeup = Wakeup(tmp_path / ("x" * 120))
    with wakeup.listen() as ear:
        wakeup.send()
        assert ear.wait(0)


def test_waiting_ends(wakeup):
    began = time.monotonic()
    with wakeup.listen() as ear:
        assert not ear.wait(0.05)
    assert time.monotonic() >= began + 0.05
