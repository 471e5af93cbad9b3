# SPDX-License-Identifier: Apache-2.0
"""What every handler needs, made once by app.create_app."""

from typing import Any, Protocol

import msgspec
from sqlalchemy import Engine

from ottava.api.authorize import Authorizer
from ottava.api.settings import Settings
from ottava.cloud.network.base import NetworkService
from ottava.provider.registry import Providers


class Wakeup(Protocol):
    """A hint to the controllers that something is due; it may be lost."""

    def send(self) -> None:
        """Never blocks, never fails."""


class Site(msgspec.Struct, frozen=True):
    """The options, the database, the network, the hint, the policy and the providers of one API.

    health  oslo.middleware's healthcheck; None where the operator has not asked for it
    """

    settings: Settings
    engine: Engine
    network: NetworkService
    wakeup: Wakeup
    authorizer: Authorizer
    providers: Providers
    health: Any
