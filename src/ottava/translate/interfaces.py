# SPDX-License-Identifier: Apache-2.0
"""The network interfaces of an amphora: one for each port, in their order."""

from collections.abc import Sequence

from ottava.translate.ir import Port
from ottava.wire.desired import Interface


def interfaces(ports: Sequence[Port]) -> tuple[Interface, ...]:
    """net0, net1, ... for `ports`."""
    return tuple(
        Interface(
            name=f"net{number}",
            mac=port.mac,
            bridge=port.bridge,
            addresses=port.addresses,
            gateways=port.gateways,
            mtu=port.mtu,
        )
        for number, port in enumerate(ports)
    )
