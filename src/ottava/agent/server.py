# SPDX-License-Identifier: Apache-2.0
"""The agent's HTTP API: what the controller may ask of this host. Mutual TLS; only a controller is heard."""

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import falcon
import falcon.asgi
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ottava.agent.amphorae import Amphorae
from ottava.agent.certificates import CONTROLLER, uris
from ottava.agent.heartbeat import HostFacts
from ottava.wire import VERSION
from ottava.wire.desired import Desired

MOST_BYTES = 64 * 1024 * 1024
_DESIRED = msgspec.json.Decoder(Desired)


class _Facts:
    def __init__(self, facts: HostFacts) -> None:
        self._facts = facts

    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        _answer(response, await self._facts.get())


class _Collection:
    def __init__(self, amphorae: Amphorae) -> None:
        self._amphorae = amphorae

    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        await self._amphorae.ready.wait()
        _answer(response, await self._amphorae.reports(self._amphorae))


class _Item:
    def __init__(self, amphorae: Amphorae) -> None:
        self._amphorae = amphorae

    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response, amphora_id: str) -> None:
        _answer(response, await self._amphorae.state(amphora_id))

    async def on_put(self, request: falcon.asgi.Request, response: falcon.asgi.Response, amphora_id: str) -> None:
        wish = _DESIRED.decode(await request.stream.read(MOST_BYTES))
        if wish.version != VERSION:
            raise ValueError(f"this agent speaks version {VERSION}, not {wish.version}")
        if wish.amphora_id != amphora_id:
            raise ValueError("the amphora in the message is not the one in the path")
        _answer(response, await self._amphorae.put(wish))

    async def on_delete(self, request: falcon.asgi.Request, response: falcon.asgi.Response, amphora_id: str) -> None:
        epoch = request.get_param_as_int("epoch", required=True, min_value=0)
        generation = request.get_param_as_int("generation", required=True, min_value=0)
        assert epoch is not None
        assert generation is not None
        _answer(response, await self._amphorae.delete(amphora_id, (epoch, generation)))


def application(amphorae: Amphorae, facts: HostFacts) -> "falcon.asgi.App[Any, Any]":
    """The routes."""
    app = falcon.asgi.App()
    app.add_route("/v1/facts", _Facts(facts))
    app.add_route("/v1/amphorae", _Collection(amphorae))
    app.add_route("/v1/amphorae/{amphora_id}", _Item(amphorae))
    app.add_error_handler(ValueError, _bad_request)  # msgspec's errors are such too
    return app


class Server(uvicorn.Server):
    """Serves `app`; signals are the caller's. `serve` returns some time after `should_exit` was set."""

    def __init__(self, app: Any, context: ssl.SSLContext) -> None:
        config = uvicorn.Config(
            app,
            http=_ControllersOnly,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=25,
        )
        config.load()
        config.ssl = context
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


class _ControllersOnly(H11Protocol):
    """Answers 403 on every connection whose certificate is not a controller's."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        if connection is None or CONTROLLER not in uris(connection.getpeercert()):
            self.app = _forbid

    def shutdown(self) -> None:
        """Idle clients are not waited for: they might keep silent for long."""
        super().shutdown()
        if self.transport.is_closing():
            self.transport.abort()


async def _forbid(scope: Any, receive: Any, send: Any) -> None:
    body = b'{"fault": "only a controller may ask this"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def _answer(response: falcon.asgi.Response, value: object) -> None:
    response.content_type = falcon.MEDIA_JSON
    response.data = msgspec.json.encode(value)


async def _bad_request(
    request: falcon.asgi.Request, response: falcon.asgi.Response, error: ValueError, params: dict[str, Any]
) -> None:
    response.status = 400
    _answer(response, {"fault": str(error)})
