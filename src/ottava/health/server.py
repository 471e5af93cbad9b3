# SPDX-License-Identifier: Apache-2.0
"""An HTTPS server that knows who is asking: uvicorn with client certificates, read again when they change on disk."""

import asyncio
import logging
import ssl
import threading
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ottava import pki

LOG = logging.getLogger(__name__)

KEEP_ALIVE = 120
REREAD = 60.0


class PeerProtocol(H11Protocol):
    """Puts the URIs of the client's certificate into each request's scope["state"]["peer"]."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read them once a connection; the handshake has checked the certificate."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate: dict[str, Any] = (tls.getpeercert() if tls else None) or {}
        names = certificate.get("subjectAltName", ())
        self.app_state = self.app_state | {"peer": frozenset(name for kind, name in names if kind == "URI")}

    def shutdown(self) -> None:
        """Do not wait for idle clients to say good-bye: the server would stay up for as long as they keep silent."""
        super().shutdown()
        if self.transport.is_closing():
            self.transport.abort()


class Certificates:
    """The TLS context of a server; `reread` takes what has changed on disk, for connections yet to come."""

    def __init__(self, identity: pki.Identity) -> None:
        self._identity = identity
        self._read: list[int] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.reread()

    def reread(self) -> None:
        """Raises OSError, ssl.SSLError; what was read before stays then."""
        files: list[Path] = [self._identity.certificate, self._identity.key, self._identity.authorities]
        stamps = [path.stat().st_mtime_ns for path in files]
        if stamps != self._read:
            self.context.load_cert_chain(files[0], files[1])
            self.context.load_verify_locations(files[2])
            self._read = stamps


def serve(app: Any, host: str, port: int, identity: pki.Identity, stop: threading.Event) -> None:
    """Answer at `host` and `port` until `stop` is set. Raises OSError when the port is taken."""
    certificates = Certificates(identity)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=3,
        ssl_context_factory=lambda *_: certificates.context,
    )
    asyncio.run(_serve(uvicorn.Server(config), certificates, stop))


async def _serve(server: uvicorn.Server, certificates: Certificates, stop: threading.Event) -> None:
    watch = asyncio.create_task(_watch(server, certificates, stop))
    try:
        await server.serve()
    except SystemExit as error:
        # uvicorn says why in its log and ends the process; that is its caller's to decide.
        raise OSError(f"cannot listen at {server.config.host} port {server.config.port}") from error
    finally:
        watch.cancel()


async def _watch(server: uvicorn.Server, certificates: Certificates, stop: threading.Event) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + REREAD
    while not stop.is_set():
        await asyncio.sleep(0.1)
        if loop.time() >= due:
            due = loop.time() + REREAD
            try:
                certificates.reread()
            except (OSError, ssl.SSLError) as error:
                LOG.warning("cannot read the certificates anew, the old ones stay: %s", error)
    server.should_exit = True
