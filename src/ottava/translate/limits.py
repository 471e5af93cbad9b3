# SPDX-License-Identifier: Apache-2.0
"""How many connections an amphora takes on its host.

HAProxy wants two file descriptors a connection, two a pipe, and some for listeners, checks and itself;
it does not start if the limit of the process is lower. No count of members goes in, so that a member
added or removed never changes the process's own settings.
"""

from collections.abc import Sequence

import msgspec

from ottava.wire.heartbeat import Facts

DEFAULT_CONNECTIONS = 50000
MOST_CONNECTIONS = 1000000
MOST_PIPES = 256
MOST_THREADS = 4


class Limits(msgspec.Struct, frozen=True):
    """Of the process; no frontend has more than `maxconn` either."""

    maxconn: int
    maxpipes: int
    threads: int

    def frontend(self, connection_limit: int | None) -> int:
        """The most connections of one listener."""
        return min(wanted(connection_limit), self.maxconn)


def wanted(connection_limit: int | None) -> int:
    """What a listener asks for; no number, -1 and 0 all mean the default."""
    return connection_limit if connection_limit and connection_limit > 0 else DEFAULT_CONNECTIONS


def limits(facts: Facts, connection_limits: Sequence[int | None]) -> Limits:
    """The limits on a host of which `facts` are known, for listeners with `connection_limits`."""
    pipes = min(MOST_PIPES, facts.nofile // 32)
    reserve = max(64, facts.nofile // 8)
    capacity = max(16, (facts.nofile - reserve - 2 * pipes) // 2)
    asked = sum(wanted(each) for each in connection_limits) or DEFAULT_CONNECTIONS
    return Limits(
        maxconn=min(asked, capacity, MOST_CONNECTIONS), maxpipes=pipes, threads=max(1, min(facts.cpus, MOST_THREADS))
    )
