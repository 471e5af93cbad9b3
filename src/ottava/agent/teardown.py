# SPDX-License-Identifier: Apache-2.0
"""Leave a host as if Ottava had never been there: everything that carries our tag goes, and nothing else."""

import contextlib
import errno
import os
import signal
import time
from pathlib import Path

from ottava.agent import links, namespaces, netlink, processes


def sweep(tag: str, run_dir: Path) -> list[str]:
    """Remove every namespace `<tag>-...`, every bridge and veth of the tag, and the processes that belong to them.

    Those are the processes that Ottava started in such a namespace, and every HAProxy whose pid file is below `run_dir`, even
    if its namespace lost its name. Answers a sentence for each thing removed; nothing the second time. The files
    below `run_dir` stay. Raises OSError.
    """
    found = namespaces.names(f"{tag}-")
    inodes = {namespaces.inode(name) for name in found if namespaces.exists(name)}
    pids = {pid for several in processes.everything(run_dir).values() for pid in several}
    done = _end_all(pids | set(processes.living_in(inodes)))
    done += [f"removed namespace {name}" for name in found if namespaces.delete(name)]
    return done + _remove_links(tag)


def _end_all(pids: set[int]) -> list[str]:
    """Ask all of them to go, and kill who is still there after two seconds."""
    done, open_ends = [], {}
    for pid in sorted(pids - {os.getpid()}):
        with contextlib.suppress(ProcessLookupError):
            open_ends[pid] = os.pidfd_open(pid)
            signal.pidfd_send_signal(open_ends[pid], signal.SIGTERM)
    deadline = time.monotonic() + 2.0
    for pid, descriptor in open_ends.items():
        if processes.end(descriptor, max(0.01, deadline - time.monotonic()), gently=signal.SIGTERM):
            done.append(f"ended process {pid}")
        os.close(descriptor)
    return done


def _remove_links(tag: str) -> list[str]:
    here = netlink.here()
    done = []
    for kind in ("veth", "bridge"):
        for link in here.links():
            if link.kind == kind and links.is_ours(tag, link.name):
                here.do(netlink.delete_link(link.index), besides=(errno.ENODEV,))
                done.append(f"removed {kind} {link.name}")
    return done
