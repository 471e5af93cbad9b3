# SPDX-License-Identifier: Apache-2.0
"""`ottava controller`: one controller of the many that a database may have."""

import argparse
import threading

from ottava.cmd import database, service, settings
from ottava.controller import worker


def run(arguments: argparse.Namespace) -> int:
    """Be a controller until told to end."""
    stop = threading.Event()
    with service.running(arguments, "controller") as conf, service.ending(stop), database.troubles_told(conf):
        settings.check_networks(conf)
        worker.run(conf, stop)
    return 0
