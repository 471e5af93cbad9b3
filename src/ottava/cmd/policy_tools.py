# SPDX-License-Identifier: Apache-2.0
"""What the programs of oslo.policy (oslopolicy-list-redundant, oslopolicy-policy-generator) need of us."""

import argparse

from oslo_policy import policy

from ottava import options
from ottava.api import authorize


def enforcer() -> policy.Enforcer:
    """The rules as the API sees them, by the --config-file and --config-dir of the program that asks.

    Raises options.BadConfiguration.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-file", action="append", default=[])
    parser.add_argument("--config-dir", action="append", default=[])
    given, _ = parser.parse_known_args()
    return authorize.enforcer(options.load(given.config_file, given.config_dir))
