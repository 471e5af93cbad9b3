# SPDX-License-Identifier: Apache-2.0
"""How often somebody may do something: a bucket of tokens for each, filled at a rate."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ottava.api.context import Environ, Wsgi
from ottava.api.errors import fault

MOST = 10000


class Rates:
    """Buckets by name. At most MOST are kept; who comes back after long finds a full one, as a newcomer does."""

    def __init__(self, rate: float, burst: int) -> None:
        """rate: tokens a second; burst: what a bucket holds."""
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, name: str, now: float) -> float:
        """Take a token: 0.0, or the seconds until there is one. `now` is on any clock that only goes forward."""
        with self._lock:
            level, since = self._buckets.pop(name, (float(self._burst), now))
            level = min(self._burst, level + (now - since) * self._rate)
            wait = 0.0 if level >= 1 else (1 - level) / self._rate
            if len(self._buckets) >= MOST:
                del self._buckets[next(iter(self._buckets))]
            self._buckets[name] = level if wait else level - 1, now
            return wait

    def give(self, name: str) -> None:
        """Give a token back that was taken before."""
        with self._lock:
            level, since = self._buckets.get(name, (float(self._burst), 0.0))
            self._buckets[name] = min(self._burst, level + 1), since


def refused(wait: float, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer 429: to be tried again after so many seconds."""
    after = str(math.ceil(wait))
    start_response("429 Too Many Requests", [("content-type", "application/json"), ("retry-after", after)])
    return [fault(429, f"Too many requests. Please try again in {after} seconds.")]


def limited(rate: float, burst: int) -> Callable[[Wsgi], Wsgi]:
    """Refuse what a project asks beyond the rate; for whom no project is known, the user counts."""
    rates = Rates(rate, burst)

    def wrap(app: Wsgi) -> Wsgi:
        def middleware(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            name = environ.get("HTTP_X_PROJECT_ID") or environ.get("HTTP_X_USER_ID") or ""
            wait = rates.take(name, time.monotonic())
            return refused(wait, start_response) if wait else app(environ, start_response)

        return middleware

    return wrap
