# SPDX-License-Identifier: Apache-2.0
"""The `ottava` command: its grammar, its words for mistakes, its processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ottava import __version__
from ottava.cmd import main, processes
from ottava.cmd.mistakes import UserMistake

BIN = Path(sys.executable).parent / "ottava"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN), *words], capture_output=True, text=True, check=False)


def test_help_imports_nothing_heavy() -> None:
    words = "import sys; from ottava.cmd import main\ntry: main.main(['--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert "run all of Ottava on this machine" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "argparse" in loaded
    assert loaded & {"oslo_config", "sqlalchemy", "falcon", "granian", "httpx", "msgspec"} == set()


def test_the_version() -> None:
    assert run("version").stdout == run("--version").stdout == f"ottava {__version__}\n"


def test_common_options_stand_before_or_after_the_command(tmp_path: Path) -> None:
    parse = main.parser().parse_args
    assert parse(["--state-dir", "x", "up"]).state_dir == parse(["up", "--state-dir", "x"]).state_dir == "x"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["why", "x", "--state-dir", "/nowhere"], "there is no Ottava in /nowhere"),
        (["db", "check", "--config-file", "/nowhere.conf"], "/nowhere.conf"),
        (["agent", "--config-file", "/etc/passwd"], "/etc/passwd"),
        (["controller", "--state-dir", "/proc/nothing"], "cannot make the directory /proc/nothing"),
    ],
)
def test_mistakes_are_told_in_words(words: list[str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ottava {words[0]}: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["api", "controller", "health", "db check"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[database]\nconnection = nonsense", "connection is not understood"),
        ("[database]\nconnection = oracle://x", "needs the Python package"),
        ("[database]\nconnection = postgresql+psycopg://u:geheim@127.0.0.1:1/x", "does not answer"),
        ("[database]\nconnection = sqlite:////proc/nothing/x", "/proc/nothing/x cannot be opened"),
    ],
)
def test_a_bad_database_is_told_in_words(tmp_path: Path, command: str, line: str, said: str) -> None:
    path = tmp_path / "ottava.conf"
    path.write_text(f"[DEFAULT]\nstate_dir = {tmp_path}/state\nrun_dir = {tmp_path}/run\n{line}\n")
    done = run(*command.split(), "--config-file", str(path))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


def test_the_database_is_checked_and_upgraded(tmp_path: Path) -> None:
    where = ["--state-dir", str(tmp_path)]
    assert run("db", "check", *where).returncode == 1
    assert run("db", "upgrade", *where).returncode == 0
    assert run("db", "check", *where).returncode == 0
    assert (tmp_path / "ottava.sqlite").stat().st_mode & 0o077 == 0


def test_certificates_are_issued_for_another_host(tmp_path: Path) -> None:
    where = ["--state-dir", str(tmp_path / "state")]
    said = run(
        "certificates",
        "issue",
        "agent",
        "--host",
        "host2",
        "--address",
        "192.0.2.1",
        "--to",
        str(tmp_path / "to"),
        *where,
    )
    assert said.returncode == 0, said.stderr
    assert "ottava:agent:host2, 192.0.2.1" in said.stdout
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "to").iterdir()} == {
        "agent-host2.pem": 0o600,
        "ca.pem": 0o600,
    }
    assert "authority-1.pem" in run("certificates", "show", *where).stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ottava co", {"controller", "completion"}),
        ("ottava certificates ", {"show", "issue"}),
        ("ottava certificates issue --ho", {"--host"}),
        ("ottava up --de", {"--debug", "--demo"}),
        ("ottava completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(line: str, expected: set[str]) -> None:
    words = line.split(" ")
    array = " ".join(f"'{word}'" for word in words)
    script = f"{run('completion', 'bash').stdout}\nCOMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _ottava; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    found = {word for word in done.stdout.split() if not word.startswith("--") or words[-1].startswith("--")}
    assert found == expected


def test_zsh_and_fish_get_something_too() -> None:
    assert run("completion", "zsh").stdout.startswith("#compdef ottava")
    assert "-a certificates" in run("completion", "fish").stdout


def _child(run_dir: Path, words: str) -> subprocess.Popen[str]:
    script = (
        f"import time\nfrom ottava.cmd import processes\nwith processes.registered({str(run_dir)!r}, 'api'):\n {words}"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "here\n"
    return child


def test_processes_are_listed_while_they_run_and_stopped(tmp_path: Path) -> None:
    child = _child(tmp_path, "print('here', flush=True); time.sleep(600)")
    assert processes.running(str(tmp_path)) == [processes.Running("api", child.pid)]
    stopping = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from ottava.cmd import processes as p\np.stop(p.running({str(tmp_path)!r}), {str(tmp_path)!r})",
        ]
    )
    assert child.wait(60) == -signal.SIGTERM
    assert stopping.wait(60) == 0
    assert processes.running(str(tmp_path)) == []
    assert list((tmp_path / "processes").iterdir()) == []


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = _child(
        tmp_path,
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
    )
    processes.stop(processes.running(str(tmp_path)), str(tmp_path), patience=0.1)
    assert child.wait(60) == -signal.SIGKILL


def test_a_forked_child_holds_no_lock_of_its_parent(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with processes.alone(str(tmp_path), "directory"):
        pid = os.fork()
        if not pid:
            processes.let_go()
            os.write(writer, b".")
            time.sleep(600)
            os._exit(0)
    try:
        os.read(reader, 1)
        with processes.alone(str(tmp_path), "directory"):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_directory_is_held_by_one(tmp_path: Path) -> None:
    with (
        processes.alone(str(tmp_path), "state directory"),
        pytest.raises(UserMistake, match=f"process {os.getpid()} holds the state directory"),
        processes.alone(str(tmp_path), "state directory"),
    ):
        pass
