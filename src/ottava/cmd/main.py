# SPDX-License-Identifier: Apache-2.0
"""The `ottava` command: reads the words, then imports only what the chosen command needs."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from ottava import __version__
from ottava.cmd.mistakes import UserMistake

# command: (module with run(arguments) -> exit status, what it does)
_COMMANDS = {
    "up": ("ottava.cmd.up", "run all of Ottava on this machine"),
    "down": ("ottava.cmd.down", "stop it and remove every namespace, bridge, link and process it made here"),
    "why": ("ottava.cmd.why", "say in words what a load balancer still lacks, and why"),
    "api": ("ottava.cmd.api", "run the API alone"),
    "controller": ("ottava.cmd.controller", "run a controller alone"),
    "agent": ("ottava.cmd.agent", "run the agent of this host alone"),
    "health": ("ottava.cmd.health", "run the receiver of heartbeats alone"),
    "db": ("ottava.cmd.db", "look after the database"),
    "certificates": ("ottava.cmd.certificates", "look after the certificates inside Ottava"),
    "completion": ("ottava.cmd.completion", "print the completion of this command for a shell"),
    "version": ("ottava.cmd.version", "print the version"),
}


def parser() -> argparse.ArgumentParser:
    """The whole grammar of the command."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    _add_common(common)
    root = argparse.ArgumentParser(
        prog="ottava", description="Load balancing as a service.", argument_default=argparse.SUPPRESS
    )
    root.add_argument("--version", action="version", version=f"ottava {__version__}")
    _add_common(root)
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    found = {
        name: commands.add_parser(name, help=words, description=_sentence(words), parents=[common])
        for name, (_, words) in _COMMANDS.items()
    }
    found["up"].add_argument(
        "--demo", action="store_true", default=False, help="and a load balancer over two small web servers"
    )
    found["up"].add_argument(
        "--noop",
        action="store_true",
        default=False,
        help="the API alone, for tests of clients: no root, no traffic, and every object is ACTIVE at once",
    )
    found["up"].add_argument("--port", type=int, default=argparse.SUPPRESS, metavar="N", help="port of the API (9876)")
    found["down"].add_argument(
        "--purge", action="store_true", default=False, help="and delete the state: the database and the certificates"
    )
    found["why"].add_argument("load_balancer", metavar="LOADBALANCER", help="its id or its name")
    _add_db(found["db"], common)
    _add_certificates(found["certificates"], common)
    found["completion"].add_argument("shell", choices=["bash", "zsh", "fish"])
    return root


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 for what went wrong, 2 for what makes no sense."""
    return execute(parser().parse_args(words))


def execute(arguments: argparse.Namespace) -> int:
    """Run the command that `arguments` name."""
    module = importlib.import_module(_COMMANDS[arguments.command][0])
    try:
        status: int = module.run(arguments)
    except UserMistake as mistake:
        print(f"ottava {arguments.command}: {mistake}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"ottava {arguments.command}: {error.filename}: permission denied; try it with sudo", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to flush what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file", action="append", metavar="FILE", help="read options from here (/etc/ottava/ottava.conf)"
    )
    parser.add_argument("--config-dir", action="append", metavar="DIR", help="and from its *.conf files")
    parser.add_argument("--state-dir", metavar="DIR", help="what must survive a restart is here (/var/lib/ottava)")
    parser.add_argument("--run-dir", metavar="DIR", help="sockets and process ids are here (/run/ottava)")
    parser.add_argument("--debug", action="store_true", help="log more")


def _add_db(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, words in (
        ("upgrade", "bring the database to the version that this program needs"),
        ("check", "say whether the database has the version that this program needs"),
    ):
        verbs.add_parser(name, help=words, description=_sentence(words), parents=[common])
    words = "declare which version the database has, without touching its tables (after restoring them by hand, say)"
    stamp = verbs.add_parser("stamp", help=words, description=_sentence(words), parents=[common])
    stamp.add_argument("revision", metavar="REVISION", help="the version: 0001, ..., or head for the newest")
    words = "for developers: write the migration to what the declarations say now"
    revision = verbs.add_parser("revision", help=words, description=_sentence(words), parents=[common])
    revision.add_argument("message", help="what changes, in a few words")


def _add_certificates(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("show", help="list them", description="List them.", parents=[common])
    words = "make the certificate of a process on another host, to be copied there"
    issue = verbs.add_parser("issue", help=words, description=_sentence(words), parents=[common])
    issue.add_argument("role", choices=["controller", "health", "agent"])
    issue.add_argument("--host", default="", help="name of the host (agent.host_name)")
    issue.add_argument(
        "--address", action="append", default=[], help="address or DNS name that it answers on; may stand repeatedly"
    )
    issue.add_argument("--days", type=int, default=90, help="how long it holds (90)")
    issue.add_argument("--to", required=True, metavar="DIR", help="directory that receives NAME.pem and ca.pem")


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


if __name__ == "__main__":
    sys.exit(main())
