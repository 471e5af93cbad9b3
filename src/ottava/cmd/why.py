# SPDX-License-Identifier: Apache-2.0
"""`ottava why LOADBALANCER`: what it lacks, the last error and when it is next tried, in words."""

import argparse
from pathlib import Path

import httpx

from ottava import pki
from ottava.cmd import database, settings
from ottava.cmd.mistakes import UserMistake
from ottava.controller import explain
from ottava.controller import settings as controller_settings
from ottava.controller.agent_client import AgentClient
from ottava.controller.turn import Tools
from ottava.model import errors
from ottava.store.addresses import Addresses

PATIENCE = httpx.Timeout(3.0)
"""Whoever asks does not wait as long for an agent as the controller does."""


def run(arguments: argparse.Namespace) -> int:
    """Print the sentences."""
    conf = settings.configuration(arguments)
    if not Path(conf.state_dir).exists() or not pki.directory(conf.state_dir).exists():
        raise UserMistake(f"there is no Ottava in {conf.state_dir}; say --state-dir if it is elsewhere")
    try:
        identity = pki.ensure(pki.directory(conf.state_dir), "controller", pki.CONTROLLER)
    except OSError as error:
        raise UserMistake(f"{error.filename}: {error.strerror}") from error
    agents = AgentClient(identity, PATIENCE)
    try:
        with database.opened(conf) as engine:
            network = settings.network(conf, Addresses(engine))
            tools = Tools(engine, network, agents, controller_settings.settings(conf))
            for sentence in explain.explain(tools, arguments.load_balancer):
                print(sentence)
    except errors.NotFound as error:
        raise UserMistake(f"there is no load balancer {arguments.load_balancer!r}") from error
    except errors.Duplicate as error:
        raise UserMistake(f"several have this name: {error.facts['ids']}; say the id") from error
    finally:
        agents.close()
    return 0
