# SPDX-License-Identifier: Apache-2.0
"""`ottava version`."""

import argparse

from ottava import __version__


def run(arguments: argparse.Namespace) -> int:
    """Print the version."""
    print(f"ottava {__version__}")
    return 0
