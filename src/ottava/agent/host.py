# SPDX-License-Identifier: Apache-2.0
"""What this host is: the facts that the translation needs, and what of its settings stands in our way."""

import os
import re
import resource
import socket
import subprocess
from pathlib import Path

from ottava.wire.heartbeat import Facts


def facts(binary: str) -> Facts:
    """The facts of this host, with the version of the HAProxy that `binary` names."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Facts(
        hostname=socket.gethostname(),
        haproxy=haproxy_version(binary),
        nofile=hard if hard != resource.RLIM_INFINITY else 1_048_576,
        cpus=len(os.sched_getaffinity(0)),
    )


def haproxy_version(binary: str) -> tuple[int, ...]:
    """(2, 6, 12), or () if there is no HAProxy by that name."""
    try:
        done = subprocess.run(
            [binary, "-v"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"HA-?Proxy version (\d+(?:\.\d+)*)", done.stdout)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def obstacles() -> list[str]:
    """Sentences about settings of the host that may keep traffic from us. They are the operator's: nothing is changed."""
    found = []
    for family, tables in (("IPv4", "iptables"), ("IPv6", "ip6tables")):
        if _setting(f"net/bridge/bridge-nf-call-{tables}") == "1" and _forward_drops():
            found.append(
                f"{family} traffic between amphorae and members on one bridge passes the host's FORWARD rules, which "
                f"drop by default: allow it there, or set net.bridge.bridge-nf-call-{tables}=0"
            )
    return found


def forwards() -> tuple[bool, bool]:
    """Whether the host forwards IPv4 and IPv6, so that amphorae reach members beyond their bridge by it."""
    return _setting("net/ipv4/ip_forward") == "1", _setting("net/ipv6/conf/all/forwarding") == "1"


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _forward_drops() -> bool:
    """Whether a base chain of nftables (which iptables-nft fills as well) drops what is forwarded by default."""
    try:
        done = subprocess.run(
            ["nft", "list", "chains"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.search(r"hook forward [^}]*policy drop", done.stdout) is not None
