# SPDX-License-Identifier: Apache-2.0
"""The providers that an operator enables, by name."""

import logging
from collections.abc import Callable, Mapping

from ottava.model import errors
from ottava.provider.base import Provider
from ottava.provider.native import Native
from ottava.provider.noop import Noop

LOG = logging.getLogger(__name__)

KNOWN: Mapping[str, Callable[[str], Provider]] = {
    **dict.fromkeys(("ottava", "octavia", "amphora", "amphorav2"), Native),
    "noop_driver": Noop,
}
"""What can be enabled; octavia, amphora and amphorav2 are names that existing clients use."""

IDLE: Mapping[str, Callable[[str], Provider]] = dict.fromkeys(KNOWN, Noop)
"""The same names where nothing is to be carried out."""


class BadProviders(Exception):
    """The providers cannot be used as they are configured; the message says why, for people."""


class Providers:
    """enabled: name to description; default: that of a load balancer that names none.

    A name that is not known is left out, and logged. Raises BadProviders when the default is not there.
    """

    def __init__(
        self, enabled: Mapping[str, str], default: str, known: Mapping[str, Callable[[str], Provider]] = KNOWN
    ) -> None:
        for name in enabled.keys() - known.keys():
            LOG.error("There is no provider %s; it is left out.", name)
        self.listed = {name: about for name, about in enabled.items() if name in known}
        self.default = default
        self._providers = {name: known[name](name) for name in self.listed}
        if default not in self._providers:
            raise BadProviders(f"the default provider {default} is none of those that are enabled")

    def get(self, name: str) -> Provider:
        """The provider of that name. Raises ProviderNotEnabled."""
        if name not in self._providers:
            raise errors.ProviderNotEnabled(provider=name)
        return self._providers[name]

    def carries_out(self, name: str) -> bool:
        """Whether somebody carries out what that provider is asked for; so it is for one that is not enabled any more."""
        provider = self._providers.get(name)
        return provider is None or provider.carries_out
