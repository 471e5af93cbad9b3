# SPDX-License-Identifier: Apache-2.0
"""`ottava down`: leave this host as if Ottava had never been there."""

import argparse
import contextlib
import shutil
from pathlib import Path

from ottava.agent import teardown
from ottava.cmd import processes, settings
from ottava.cmd.mistakes import UserMistake

# What Ottava keeps in its directories; --purge deletes these and a directory only when nothing else is in it.
_STATE = ("amphorae", "tombstones", "pki", "ottava.sqlite", "ottava.sqlite-shm", "ottava.sqlite-wal", "up.lock")
_RUN = ("amphorae", "processes", "wakeups", "up.lock")


def run(arguments: argparse.Namespace) -> int:
    """Stop the processes, then remove what carries the tag; with --purge the state too."""
    settings.need_root("to remove network namespaces and links")
    conf = settings.configuration(arguments)
    found = processes.running(conf.run_dir)
    # The supervisor first: it would start the others again.
    for role in (["up"], {each.role for each in found} - {"up"}):
        processes.stop([each for each in found if each.role in role], conf.run_dir)
    for each in found:
        print(f"stopped ottava {each.role} (process {each.pid})")
    try:
        for sentence in teardown.sweep(conf.agent.tag, Path(conf.run_dir)):
            print(sentence)
    except OSError as error:
        raise UserMistake(f"cannot remove everything: {error}") from error
    _delete(Path(conf.run_dir), _RUN)
    if arguments.purge:
        _delete(
            Path(conf.state_dir), (*_STATE, *(path.name for path in Path(conf.state_dir).glob("controller-*.lock")))
        )
        print(f"deleted the state in {conf.state_dir}")
    return 0


def _delete(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
