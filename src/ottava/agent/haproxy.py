# SPDX-License-Identifier: Apache-2.0
"""The HAProxy of one amphora: start it, hand over to a new one, change it at run time, stop it.

The file on disk is always what runs: it is prepared first, then HAProxy takes it, then it is put in force. Blocking;
call it from a thread, one at a time for an amphora.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable

import msgspec

from ottava.agent import changes, namespaces, processes
from ottava.agent.files import Files, commit, following, prepare, replace
from ottava.agent.runtime import Address, Broken, Runtime, state_file
from ottava.crash import crash_point
from ottava.wire.desired import Desired

START_TIMEOUT = 20.0
STOP_GRACE = 1.0


class HAProxy:
    """pid is that of the process that serves, None if there is none; `finishing` are older ones that still work."""

    def __init__(self, files: Files, namespace: str, binary: str) -> None:
        self._files = files
        self._namespace = namespace
        self._binary = binary
        self.pid: int | None = None
        self.finishing: set[int] = set()

    def adopt(self, pids: Iterable[int]) -> bool:
        """Take over `pids`, the processes that an earlier run of the agent left.

        False if the one that serves may run something else than what is on disk: the agent died while it started.
        """
        left = set(pids)
        certain = not self._files.starting.exists()
        if left and not namespaces.exists(self._namespace):
            namespaces.adopt(self._namespace, max(left))
        named = processes.running(self._files.pid, self._namespace)
        self.pid = named if named is not None else max(left, default=None)
        for pid in left - {self.pid}:
            self._finish(pid)
        return self.pid is None or (certain and named is not None)

    def runtime(self) -> Runtime:
        """A conversation with the process that serves. Raises Broken."""
        if self.pid is None:
            raise Broken("HAProxy does not run")
        return Runtime(self._files.socket, self.pid)

    def start(self, wish: Desired, take_leave: Callable[[int, Runtime], None]) -> None:
        """Start a process with the configuration of `wish`; one that runs hands over to it and finishes what it has.

        take_leave(pid, conversation) gets the process that was replaced. Raises processes.Refused, processes.Failed
        and OSError; the old process then serves on and the files are as before.
        """
        files = self._files
        prepare(files.config, files.text(wish))
        prepare(files.desired, msgspec.json.encode(wish))
        crash_point("agent:files")
        old = self.pid
        conversation = self._hand_over(wish)
        try:
            files.starting.touch()
            self.pid = processes.start_haproxy(
                self._namespace,
                self._binary,
                following(files.config),
                files.pid,
                handover_socket=files.socket if conversation else None,
                timeout=START_TIMEOUT,
            )
        except BaseException:
            self._serve_on(old, conversation)
            raise
        crash_point("agent:started")
        self._commit()
        files.starting.unlink()
        crash_point("agent:committed")
        for pid in [*self.finishing, *([] if old is None else [old])]:
            self._finish(pid)
        if old is not None and conversation is not None:
            take_leave(old, conversation)
        elif old is not None:  # it answers nobody
            processes.stop(old, STOP_GRACE)

    def change(self, before: Desired, wish: Desired) -> list[str]:
        """Make at run time what differs in the servers; what was done, in words.

        Raises changes.Impossible when it must be a reload (nothing may have been done, or part of it), Broken, OSError.
        """
        if before.proxy is None or wish.proxy is None or before.proxy.frame != wish.proxy.frame:
            raise changes.Impossible("more than servers differ")
        files = self._files
        prepare(files.config, files.text(wish))
        prepare(files.desired, msgspec.json.encode(wish))
        crash_point("agent:files")
        with self.runtime() as runtime:
            sentences = align(runtime, before, wish)
        crash_point("agent:started")
        self._commit()
        crash_point("agent:committed")
        return sentences

    def record(self, wish: Desired) -> None:
        """Put `wish` on disk for which HAProxy has nothing to change. Raises OSError."""
        if wish.proxy is not None:
            replace(self._files.config, self._files.text(wish))
        replace(self._files.desired, msgspec.json.encode(wish))

    def stop(self) -> None:
        """Stop every process of the amphora, gracefully if that is quick."""
        for pids in processes.everything(self._files.run).values():
            for pid in pids:
                processes.stop(pid, STOP_GRACE)
        self.pid = None
        self.finishing.clear()
        self._files.pid.unlink(missing_ok=True)

    def gone(self, pid: int) -> None:
        """Process `pid` has ended."""
        self.finishing.discard(pid)
        if self.pid == pid:
            self.pid = None

    def _commit(self) -> None:
        """The truth first: the configuration is made from it again if the agent dies in between."""
        commit(self._files.desired)
        commit(self._files.config)

    def _hand_over(self, wish: Desired) -> Runtime | None:
        """Leave the servers' health for the next process. None if no process answers: then nothing is inherited."""
        self._files.servers.unlink(missing_ok=True)
        try:
            conversation = self.runtime()
            rows = changes.handed_over(wish.proxy.backends if wish.proxy else (), conversation.servers(), probed(wish))
        except Broken:
            return None
        replace(self._files.servers, state_file(rows).encode())
        return conversation

    def _finish(self, pid: int) -> None:
        """Ask an older process to take no new connections and to end with its last one."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
            self.finishing.add(pid)

    def _serve_on(self, old: int | None, conversation: Runtime | None) -> None:
        """The start failed; HAProxy may have removed the old process's pid file."""
        if conversation is not None:
            conversation.close()
        with contextlib.suppress(OSError):
            if old is not None:
                self._files.pid.write_text(f"{old}\n")
            self._files.starting.unlink()


def align(runtime: Runtime, before: Desired, wish: Desired) -> list[str]:
    """Say what leads from what runs to `wish`, and look whether it did; what was done, in words. Raises as `change`."""
    if before.proxy is None or wish.proxy is None:
        return []
    given = probed(wish)
    steps = changes.commands(before.proxy.backends, wish.proxy.backends, runtime.servers(), given)
    answers = [f"{command}: {runtime.say(command)}" for step in steps for command in step.commands]
    if steps and (left := changes.commands(wish.proxy.backends, wish.proxy.backends, runtime.servers(), given)):
        raise changes.Impossible(f"it did not take effect at run time: {left[0].sentence} ({'; '.join(answers)})")
    return [step.sentence for step in steps]


def probed(wish: Desired) -> frozenset[Address]:
    """The servers whose health the agent decides."""
    return frozenset((probe.backend, probe.server) for probe in wish.probes)
