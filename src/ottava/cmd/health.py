# SPDX-License-Identifier: Apache-2.0
"""`ottava health`: takes the heartbeats of all hosts and notices which fall silent."""

import argparse
import threading

from ottava.cmd import database, service
from ottava.health import receive


def run(arguments: argparse.Namespace) -> int:
    """Take heartbeats until told to end."""
    stop = threading.Event()
    with service.running(arguments, "health") as conf, service.ending(stop), database.troubles_told(conf):
        service.check_port(conf.health.bind_host, conf.health.bind_port)
        receive.run(conf, stop)
    return 0
