# SPDX-License-Identifier: Apache-2.0
"""Load on a page while something happens: who answered, and what failed."""

import http.client
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self


def who(address: str, port: int = 80, path: str = "/", number: int = 1, **headers: str) -> Counter[str]:
    """Which member answers `number` requests, each on a connection of its own; "status N" for what is not 200."""
    found: Counter[str] = Counter()
    for _ in range(number):
        connection = http.client.HTTPConnection(address, port, timeout=10)
        try:
            found[_ask(connection, path, headers)] += 1
        finally:
            connection.close()
    return found


def _ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> str:
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode().strip()
    return body if answer.status == 200 else f"status {answer.status}"


class Load:
    """Requests one after another from a few threads, until this ends; half of the threads keep connections alive.

    pause: seconds between two requests of a thread
    """

    def __init__(self, address: str, port: int = 80, threads: int = 4, pause: float = 0.0) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._address, self._port, self._pause = address, port, pause
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(bool(number % 2),)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keep_alive: bool) -> None:
        connection = http.client.HTTPConnection(self._address, self._port, timeout=10)
        while not self._stop.is_set():
            try:
                name = _ask(connection, "/", {} if keep_alive else {"Connection": "close"})
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._note(f"{type(error).__name__}: {error}", failed=True)
            else:
                self._note(name, failed=name.startswith("status"))
            if self._pause:
                time.sleep(self._pause)
        connection.close()

    def _note(self, words: str, failed: bool) -> None:
        with self._lock:
            if failed:
                self.failures.append(words)
            else:
                self.answers[words] += 1

    @property
    def total(self) -> int:
        """Requests answered well so far."""
        with self._lock:
            return self.answers.total()

    def more(self, number: int = 200) -> Counter[str]:
        """Wait for that many further answers; who gave them."""
        with self._lock:
            before = Counter(self.answers)
        deadline = time.monotonic() + 60
        while self.total < before.total() + number:
            assert time.monotonic() < deadline, f"no answers any more; {self.failures[-3:]}"
            time.sleep(0.005)
        with self._lock:
            return self.answers - before
