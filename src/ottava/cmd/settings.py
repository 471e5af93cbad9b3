# SPDX-License-Identifier: Apache-2.0
"""From the words on the command line to the configuration, and what several commands derive from it."""

import argparse
import ipaddress
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from oslo_config import cfg

from ottava import options
from ottava.cloud.network.base import AddressBook, NetworkService
from ottava.cloud.network.local import LocalNetwork
from ottava.cloud.network.noop import NoopNetwork
from ottava.cmd.mistakes import UserMistake


def configuration(arguments: argparse.Namespace) -> cfg.ConfigOpts:
    """The configuration that the words on the command line ask for. Raises UserMistake."""
    overrides: dict[tuple[str, str], object] = dict(getattr(arguments, "options", {}))
    for name in ("state_dir", "run_dir"):
        if hasattr(arguments, name):
            overrides["DEFAULT", name] = os.path.abspath(getattr(arguments, name))
    if hasattr(arguments, "debug"):
        overrides["DEFAULT", "debug"] = True
    try:
        return options.load(getattr(arguments, "config_file", ()), getattr(arguments, "config_dir", ()), overrides)
    except options.BadConfiguration as error:
        raise UserMistake(str(error)) from error


def need_root(what: str) -> None:
    """Raise UserMistake unless this process may make namespaces and links."""
    if os.geteuid() != 0:
        raise UserMistake(f"needs root, {what}: try it with sudo")


def make_private(*paths: str | Path) -> None:
    """Make directories that only their owner may read. Raises UserMistake."""
    for path in paths:
        try:
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserMistake(f"cannot make the directory {path}: {error.strerror}") from error


def network(conf: cfg.ConfigOpts, book: AddressBook) -> NetworkService:
    """The networks that the options name. Raises UserMistake for those that make no sense."""
    if conf.network.driver == "noop":
        return NoopNetwork()
    try:
        return LocalNetwork(conf.local_network.network, book, conf.agent.tag)
    except ValueError as error:
        raise UserMistake(str(error)) from error


def check_networks(conf: cfg.ConfigOpts) -> None:
    """Raise UserMistake if the networks that the options name make no sense."""
    network(conf, {})  # type: ignore[arg-type]


def host_name(conf: cfg.ConfigOpts) -> str:
    """The name under which this host is known."""
    return str(conf.agent.host_name or socket.gethostname())


def url(host: str, port: int, scheme: str = "https") -> str:
    """The URL of a server that listens on `host` and `port`; a wildcard is reached by loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def answers_on(host: str, advertised: str = "") -> list[str]:
    """The names for the certificate of a server that listens on `host` and is reached by the URL `advertised`."""
    more = [socket.gethostname() if host in {"0.0.0.0", "::"} else host, urlsplit(advertised).hostname]
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *filter(None, more)]))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
