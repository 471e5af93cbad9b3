# SPDX-License-Identifier: Apache-2.0
"""`ottava certificates`: what there is, and certificates for processes on other hosts."""

import argparse
import datetime
import os
import shutil
from pathlib import Path

from ottava import pki
from ottava.cmd import settings
from ottava.cmd.mistakes import UserMistake


def run(arguments: argparse.Namespace) -> int:
    """Show or issue."""
    folder = pki.directory(settings.configuration(arguments).state_dir)
    try:
        return _issue(folder, arguments) if arguments.verb == "issue" else _show(folder)
    except OSError as error:
        raise UserMistake(f"{error.filename}: {error.strerror}") from error


def _show(folder: Path) -> int:
    paths = sorted(folder.glob("*.pem"))
    if not paths:
        print(f"There are no certificates in {folder} yet; `ottava up` makes them.")
    for path in paths:
        try:
            print(pki.describe(path))
        except ValueError:
            print(f"{path}: not readable; it is made anew when it is next needed")
    return 0


def _issue(folder: Path, arguments: argparse.Namespace) -> int:
    if arguments.role == "agent" and not arguments.host:
        raise UserMistake("an agent's certificate needs --host NAME")
    uri, name = {
        "controller": (pki.CONTROLLER, "controller"),
        "health": (pki.HEALTH, "health"),
        "agent": (pki.agent(arguments.host), f"agent-{arguments.host}"),
    }[arguments.role]
    target = Path(arguments.to)
    settings.make_private(target, folder / "issued")
    life = datetime.timedelta(days=arguments.days)
    made = pki.ensure(folder, f"issued/{name}", uri, arguments.address, life=life)
    for source, path in ((made.certificate, target / f"{name}.pem"), (made.authorities, target / "ca.pem")):
        shutil.copyfile(source, path)
        os.chmod(path, 0o600)
    made.certificate.unlink()
    print(f"{pki.describe(target / f'{name}.pem')}")
    print(f"Copy {target}/*.pem to <state_dir>/pki/ on that host, to be read by root alone.")
    return 0
