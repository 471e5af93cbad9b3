# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` command, started once and given many commands on its standard input."""

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

OPENSTACK = Path(sys.executable).with_name("openstack")
COMMANDS = frozenset(" ".join(each.name.split("_")) for each in entry_points(group="openstack.load_balancer.v2"))
"""Every command that the installed client has, like "loadbalancer listener stats show"."""

VERBS = frozenset({"create", "delete", "list", "show", "set", "unset", "failover", "configure", "reset"})


def group(command: str) -> str:
    """What a command is about: its second word if that is no verb.

    >>> group("loadbalancer listener stats show"), group("loadbalancer stats show")
    ('listener', 'loadbalancer')
    """
    words = command.split()
    return "loadbalancer" if {*words[1:2]} & {*VERBS, "stats", "status"} else words[1]


class Shell:
    """One interactive `openstack`. `environment` has the OS_ variables that say where the cloud is."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        self._process = subprocess.Popen(
            [OPENSTACK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**clean, **environment, "PYTHONUNBUFFERED": "1"},
        )

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)

    def says(self, *words: str) -> str:
        """What `openstack loadbalancer WORDS` says, be it an answer or a complaint."""
        command = ("loadbalancer", *words)
        end = f"end of {uuid.uuid4()}"
        self._write(" ".join(map(_quoted, command)))
        self._write(f"!echo {end}")
        return self._until(end)

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _until(self, end: str) -> str:
        assert self._process.stdout
        lines: list[str] = []
        for line in self._process.stdout:
            if line.rstrip("\n") == end:
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"openstack ended: {''.join(lines)}")


def _quoted(word: str) -> str:
    """As one word for a program that takes lines apart twice, and knows no backslash the first time."""
    assert "'" not in word
    inside = word.replace("\\", "\\\\").replace('"', '\\"')
    return word if word == shlex.quote(word) else f"'\"{inside}\"'"


class Group:
    """The commands of one group: `Group(shell, "listener").does("delete", "web")`. `ran` has those that were run."""

    def __init__(self, shell: Shell, name: str) -> None:
        self.commands = {each for each in COMMANDS if group(each) == name}
        self.ran: set[str] = set()
        self._shell = shell
        self._words = () if name == "loadbalancer" else (name,)

    def says(self, *words: str) -> str:
        """What it says, be it an answer or a complaint."""
        said = self._shell.says(*self._words, *words)
        command = " ".join(("loadbalancer", *self._words, *words)) + " "
        self.ran.add(next(each for each in self.commands if command.startswith(each + " ")))
        return said

    def shows(self, *words: str) -> Any:
        """What a command that answers with data says. Fails if it complains."""
        said = self.says(*words, "-f", "json")
        try:
            return json.loads(said)
        except ValueError:
            raise AssertionError(f"{words}: {said}") from None

    def does(self, *words: str) -> None:
        """A command that says nothing when it has done what it should. Fails if it complains."""
        said = self.says(*words)
        assert not said, f"{words}: {said}"
