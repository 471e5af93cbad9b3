# SPDX-License-Identifier: Apache-2.0
"""The agent's certificate and the authorities it trusts, read again when their files change."""

import os
import ssl
from collections.abc import Iterable

CONTROLLER = "ottava:controller"


class Certificates:
    """`server` and `client` stay the same objects: new connections use what was read last.

    The files are read again by `refresh`; while one of them cannot be read, what was read before stays in use. A
    certificate authority that was taken out of its file is trusted until the agent starts anew.
    """

    def __init__(self, certificate: str, key: str, ca: str) -> None:
        self._paths = (certificate, key, ca)
        self._seen: tuple[tuple[int, int, int], ...] = ()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for context in (self.server, self.client):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_REQUIRED
        self.refresh()

    def refresh(self) -> bool:
        """Read the files again if they changed; True if so. Raises OSError (ssl.SSLError among them)."""
        now = tuple(_stamp(path) for path in self._paths)
        if now == self._seen:
            return False
        certificate, key, ca = self._paths
        for context in (self.server, self.client):
            context.load_verify_locations(cafile=ca)
            context.load_cert_chain(certificate, key)
        self._seen = now
        return True


def uris(peer: object) -> frozenset[str]:
    """The URIs among the subject's alternative names of what SSLObject.getpeercert() returned."""
    names = peer.get("subjectAltName", ()) if isinstance(peer, dict) else ()
    return frozenset(_uris(names))


def _uris(names: Iterable[tuple[str, str]]) -> Iterable[str]:
    return (value for kind, value in names if kind == "URI")


def _stamp(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ino, status.st_size
