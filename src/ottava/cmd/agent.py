# SPDX-License-Identifier: Apache-2.0
"""`ottava agent`: the one process of Ottava that every host of amphorae runs."""

import argparse

from ottava import pki
from ottava.agent.main import run as run_agent
from ottava.agent.settings import Settings
from ottava.cmd import service, settings


def run(arguments: argparse.Namespace) -> int:
    """Be the agent of this host until told to end."""
    settings.need_root("to make network namespaces and links")
    with service.running(arguments, "agent") as conf:
        service.check_port(conf.agent.bind_host, conf.agent.bind_port)
        host = settings.host_name(conf)
        name = f"agent-{host}"
        answers_on = settings.answers_on(conf.agent.bind_host, conf.agent.url)
        files = service.certificate(conf, name, pki.agent(host), answers_on)
        run_agent(
            Settings(
                host=host,
                bind_host=conf.agent.bind_host,
                bind_port=conf.agent.bind_port,
                advertised_url=conf.agent.url.rstrip("/"),
                tag=conf.agent.tag,
                state_dir=conf.state_dir,
                run_dir=conf.run_dir,
                haproxy=conf.agent.haproxy,
                heartbeat_interval=conf.agent.heartbeat_interval,
                health_url=conf.agent.health_url or settings.url(conf.health.bind_host, conf.health.bind_port),
                certificate=str(files.certificate),
                key=str(files.key),
                ca=str(files.authorities),
            )
        )
    return 0
