# SPDX-License-Identifier: Apache-2.0
"""When a host counts as lost, when too many are lost to do anything about it, and how long to wait after a failure. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from ottava.model.amphora import Host
from ottava.rules.plan import HostView

LEAST_BRAKE = 1
"""So many lost hosts never set the brake: a pair of hosts must survive the loss of one."""

MOST_DOUBLINGS = 62


class Losses(msgspec.Struct, frozen=True):
    """The hosts that are lost.

    silent     every host that was not heard of for too long
    replace    those whose amphorae are to be replaced: all of the silent ones, or none while the brake holds
    sentences  what there is to tell people about it
    """

    silent: frozenset[str] = frozenset()
    replace: frozenset[str] = frozenset()
    sentences: tuple[str, ...] = ()


def dead_hosts(
    hosts: Sequence[Host], now: float, timeout: float, loads: Mapping[str, int], brake: float = 0.5
) -> Losses:
    """Which hosts are lost, and whether to act on it.

    now, timeout  seconds, by the clock that Host.last_seen is by
    loads         amphorae by the host's name
    brake         the largest share of the hosts in use that may be lost at once. When more are, it is more likely
                  that they cannot be heard than that they stopped serving, and none is replaced

    A host counts as in use while it is alive or carries amphorae: one that was emptied long ago says nothing.
    """
    silent = frozenset(host.name for host in hosts if now - host.last_seen >= timeout)
    lost = sorted(name for name in silent if loads.get(name, 0))
    in_use = len(hosts) - len(silent) + len(lost)
    if not lost:
        return Losses(silent, silent)
    words = f"{len(lost)} of {len(hosts)} hosts were not heard of for {timeout:g} s: {', '.join(lost)}"
    if len(lost) <= max(LEAST_BRAKE, int(brake * in_use)):
        follows = (
            "their amphorae are replaced" if len(silent) < len(hosts) else "no other host is alive to replace them"
        )
        return Losses(silent, silent, (f"{words}; {follows}",))
    return Losses(
        silent, frozenset(), (f"{words}; so many at once that nothing is replaced until more are heard of again",)
    )


def host_views(
    hosts: Sequence[Host], now: float, timeout: float, loads: Mapping[str, int], brake: float = 0.5
) -> tuple[HostView, ...]:
    """The hosts as `plan` sees them; arguments as of `dead_hosts`."""
    losses = dead_hosts(hosts, now, timeout, loads, brake)
    return tuple(
        HostView(
            host.name,
            alive=host.name not in losses.silent,
            load=loads.get(host.name, 0),
            held=host.name in losses.silent - losses.replace,
        )
        for host in hosts
    )


def backoff(attempts: int, base: float, cap: float, random01: float) -> float:
    """Seconds to wait after a failure, with `attempts` failures in a row before it: anywhere (`random01`, 0 to 1) up
    to a bound that doubles from `base` to `cap`. The whole range is used, so that what failed together is not tried
    again together."""
    return random01 * min(cap, base * 2.0 ** min(attempts, MOST_DOUBLINGS))
