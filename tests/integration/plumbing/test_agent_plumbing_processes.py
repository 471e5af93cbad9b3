# SPDX-License-Identifier: Apache-2.0
"""HAProxy outside the agent's process tree: it outlives its starter, is adopted only if it is the one, and ends when told."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ottava.agent import namespaces, processes


def _start(amphora, **more) -> int:
    return processes.start_haproxy(amphora.namespace, "haproxy", amphora.config, amphora.pidfile, timeout=20, **more)


def _take_over(amphora, pid) -> int:
    new = _start(amphora, handover_socket=amphora.socket)
    os.kill(pid, signal.SIGUSR1)
    return new


def _ready(pidfd: int, seconds: float) -> bool:
    return bool(select.select([pidfd], [], [], seconds)[0])


@pytest.fixture
def stranger():
    """A process that has nothing to do with us."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_it_serves_on_when_its_starter_is_killed(stage, ask):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    stage.write(amphora, "one")
    script = (
        "import sys, time; from pathlib import Path; from ottava.agent import processes\n"
        "namespace, config, pidfile = sys.argv[1:]\n"
        "processes.start_haproxy(namespace, 'haproxy', Path(config), Path(pidfile))\n"
        "print('started', flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, amphora.namespace, str(amphora.config), str(amphora.pidfile)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert starter.stdout.readline() == b"started\n"
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    assert ask(stage.v4(5)) == "one"
    pid = processes.running(amphora.pidfile, amphora.namespace)
    assert pid is not None
    assert processes.everything(stage.run) == {amphora.pidfile: [pid]}
    assert os.getsid(pid) not in (starter.pid, os.getsid(0))


def test_its_end_is_heard_without_being_its_parent(stage):
    amphora, pid = stage.serve("one")
    pidfd = processes.wait_exit(pid)
    assert not _ready(pidfd, 0.05)
    os.kill(pid, signal.SIGKILL)
    assert _ready(pidfd, 10)
    os.close(pidfd)
    assert processes.running(amphora.pidfile, amphora.namespace) is None


def test_a_new_process_takes_over_without_a_failed_request(stage, ask):
    amphora, pid = stage.serve("one", said="old")
    failures, answers, over = [], set(), threading.Event()

    def load() -> None:
        while not over.is_set():
            try:
                answers.add(ask(stage.v4(5)))
            except OSError as error:
                failures.append(error)

    worker = threading.Thread(target=load)
    worker.start()
    try:
        for number in range(5):
            stage.write(amphora, f"new{number}")
            gone = processes.wait_exit(pid)
            pid = _take_over(amphora, pid)
            assert _ready(gone, 10), "the old process stays"
            os.close(gone)
    finally:
        over.set()
        worker.join()
    assert failures == []
    assert answers <= {"old", *(f"new{number}" for number in range(5))}
    assert ask(stage.v4(5)) == "new4"


@pytest.mark.parametrize(
    "text",
    [
        "  bogus directive\n",
        "  default_backend nowhere\n",
        "  bind :443 ssl crt /nonexistent\n",
        "  acl a path_reg (\n",
    ],
)
def test_a_refused_configuration_leaves_the_old_process_serving(stage, ask, text):
    amphora, pid = stage.serve("one")
    amphora.config.write_text(amphora.config.read_text() + text)
    with pytest.raises(processes.Refused, match="ALERT"):
        processes.check_haproxy("haproxy", amphora.config)
    with pytest.raises(processes.Refused, match="ALERT"):
        _start(amphora, handover_socket=amphora.socket)
    assert processes.running(amphora.pidfile, amphora.namespace) == pid
    assert ask(stage.v4(5)) == "one"


def test_a_taken_port_is_no_fault_of_the_configuration(stage, ask):
    amphora, pid = stage.serve("one")
    with namespaces.inside(amphora.namespace):
        import socket

        taken = socket.create_server(("0.0.0.0", 81))
    with taken:
        amphora.config.write_text(amphora.config.read_text() + "  bind 0.0.0.0:81\n")
        processes.check_haproxy("haproxy", amphora.config)
        with pytest.raises(processes.Failed, match="81"):
            _start(amphora, handover_socket=amphora.socket)
        assert processes.running(amphora.pidfile, amphora.namespace) == pid
        assert ask(stage.v4(5)) == "one"
    assert _take_over(amphora, pid) != pid
    assert ask(stage.v4(5)) == "one"


def test_a_process_that_dies_after_the_fork_has_not_started(stage):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    stage.write(amphora, "one")
    amphora.config.write_text(amphora.config.read_text().replace("global", "global\n  chroot /nonexistent", 1))
    with pytest.raises(processes.Failed, match="chroot"):
        _start(amphora)


def test_the_pid_is_found_when_the_pid_file_cannot_be_kept(stage, ask):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    stage.write(amphora, "first")
    amphora.pidfile.symlink_to("/dev/full")  # opens, and every write fails as on a full disk
    first = _start(amphora)
    stage.write(amphora, "second")
    gone = processes.wait_exit(first)
    second = _take_over(amphora, first)
    assert second != first
    assert _ready(gone, 10)
    os.close(gone)
    assert ask(stage.v4(5)) == "second"
    assert second in processes.everything(stage.run)[amphora.pidfile]
    stage.write(amphora, "dead")
    amphora.config.write_text(amphora.config.read_text().replace("global", "global\n  chroot /nonexistent", 1))
    with pytest.raises(processes.Failed, match="chroot"):
        _start(amphora)
    assert ask(stage.v4(5)) == "second"


def test_what_the_host_lacks_is_no_fault_of_the_configuration(stage):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    with pytest.raises(processes.Failed):
        _start(amphora)
    stage.write(amphora, "one")
    with pytest.raises(processes.Failed, match="/nonexistent/haproxy"):
        processes.start_haproxy(amphora.namespace, "/nonexistent/haproxy", amphora.config, amphora.pidfile)
    with pytest.raises(processes.Failed, match="nowhere"):
        processes.start_haproxy(f"{stage.tag}-nowhere", "haproxy", amphora.config, amphora.pidfile)


def test_a_pid_file_is_believed_only_if_the_process_names_it(stage, stranger):
    amphora, pid = stage.serve("one")
    other, other_pid = stage.serve("two", last=6)
    with namespaces.inside(amphora.namespace):
        neighbour = subprocess.Popen(["sleep", "600"])
    for wrong in (neighbour.pid, stranger.pid, other_pid, 0, 1, -1, 2**40):
        amphora.pidfile.write_text(f"{wrong}\n")
        assert processes.running(amphora.pidfile, amphora.namespace) is None
    neighbour.kill()
    neighbour.wait()
    for text in ("", "abc", "\0"):
        amphora.pidfile.write_text(text)
        assert processes.running(amphora.pidfile, amphora.namespace) is None
    amphora.pidfile.write_text(f"{pid}\n")
    assert processes.running(amphora.pidfile, amphora.namespace) == pid
    assert processes.running(amphora.pidfile, other.namespace) is None
    assert processes.everything(stage.run) == {amphora.pidfile: [pid], other.pidfile: [other_pid]}


def test_only_a_process_of_ours_is_stopped(stage, stranger, ask):
    amphora, pid = stage.serve("one")
    other, _other_pid = stage.serve("two", last=6)
    assert processes.stop(stranger.pid, 0) is False
    assert processes.stop(pid, 0, pidfile=other.pidfile) is False
    assert stranger.poll() is None
    assert ask(stage.v4(5)) == "one"
    assert processes.stop(pid, 0, pidfile=amphora.pidfile) is True
    assert processes.stop(pid, 0) is True
    with pytest.raises(ConnectionRefusedError):
        ask(stage.v4(5))
    assert ask(stage.v4(6)) == "two"


def test_it_is_killed_when_it_does_not_finish(stage):
    import socket

    _amphora, pid = stage.serve("one")
    with socket.create_connection((stage.v4(5), 80), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")  # a request that never ends
        gone = processes.wait_exit(pid)
        assert processes.stop(pid, 0.2) is True
        assert _ready(gone, 0)
        os.close(gone)


def test_a_deleted_name_is_given_back_without_a_gap(stage, ask, ip):
    amphora, pid = stage.serve("one")
    ip("netns", "del", amphora.namespace)
    assert ask(stage.v4(5)) == "one"
    assert processes.running(amphora.pidfile, amphora.namespace) is None
    assert processes.running(amphora.pidfile) == pid
    assert namespaces.adopt(amphora.namespace, pid) is True
    assert namespaces.adopt(amphora.namespace, pid) is False
    assert stage.plug(amphora) == []
    assert processes.running(amphora.pidfile, amphora.namespace) == pid
    assert ask(stage.v4(5)) == "one"


def test_the_hosts_own_namespace_is_never_adopted(stage, stranger):
    assert namespaces.adopt(f"{stage.tag}-host", stranger.pid) is False
    assert not namespaces.exists(f"{stage.tag}-host")


def test_entering_is_a_matter_of_one_thread_which_comes_home(stage):
    amphora = stage.amphora("one")
    stage.plug(amphora)
    home, inner = _place(), namespaces.inode(amphora.namespace)
    seen = {}
    entered, looked = threading.Event(), threading.Event()

    def enter() -> None:
        try:
            with namespaces.inside(amphora.namespace):
                seen["inside"] = _place()
                entered.set()
                looked.wait(10)
                raise ZeroDivisionError
        except ZeroDivisionError:
            seen["after"] = _place()

    thread = threading.Thread(target=enter)
    thread.start()
    assert entered.wait(10)
    seen["others"] = _place()
    looked.set()
    thread.join()
    assert seen == {"inside": inner, "after": home, "others": home}
    assert inner != home


def _place() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino
