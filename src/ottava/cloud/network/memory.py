# SPDX-License-Identifier: Apache-2.0
"""Networks without a database: the rules of local networks over a book of addresses that lives in memory. For tests."""

import threading
from collections.abc import Iterable

import msgspec

from ottava.cloud.network.local import LocalNetwork
from ottava.model import errors


class Row(msgspec.Struct, frozen=True):
    """One taken address."""

    network_id: str
    subnet_id: str
    address: str
    port_id: str
    owner: str


class MemoryAddresses:
    """A book of addresses; see base.AddressBook."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._lock = threading.Lock()

    def take(self, network_id: str, subnet_id: str, port_id: str, owner: str, candidates: Iterable[str]) -> str:
        """See base.AddressBook."""
        with self._lock:
            for row in self._rows.values():
                if (row.network_id, row.subnet_id, row.port_id) == (network_id, subnet_id, port_id):
                    return row.address
            for address in candidates:
                key = network_id, subnet_id, address
                if key not in self._rows:
                    self._rows[key] = Row(network_id, subnet_id, address, port_id, owner)
                    return address
        raise errors.Duplicate(what="vip")

    def release(self, port_id: str) -> None:
        """See base.AddressBook."""
        with self._lock:
            self._rows = {key: row for key, row in self._rows.items() if row.port_id != port_id}

    def of(self, port_id: str) -> list[Row]:
        """See base.AddressBook."""
        return [row for row in list(self._rows.values()) if row.port_id == port_id]

    def owned_by(self, owner: str) -> list[Row]:
        """See base.AddressBook."""
        return [row for row in list(self._rows.values()) if row.owner == owner]


def memory_network(*lines: str, tag: str = "ot") -> LocalNetwork:
    """Networks as the option lines describe them, forgotten with the process."""
    return LocalNetwork(lines or ("lan 198.18.0.0/24 fd00:0:0:77::/64",), MemoryAddresses(), tag)
