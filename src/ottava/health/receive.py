# SPDX-License-Identifier: Apache-2.0
"""Takes the heartbeats of agents: who may send what, and what is answered."""

import asyncio
import logging
import threading
from collections.abc import Callable

import falcon
import falcon.asgi
import msgspec
from oslo_config import cfg

from ottava import pki
from ottava.health.detect import Detector
from ottava.health.record import Recorder
from ottava.health.server import serve
from ottava.model import errors
from ottava.store import engine as engines
from ottava.store.wakeup import Wakeup
from ottava.wire import VERSION
from ottava.wire.heartbeat import Heartbeat

LOG = logging.getLogger(__name__)

LARGEST = 64 * 1024 * 1024
"""Bytes of a heartbeat; a host of a thousand load balancers sends about one million."""

RENEW = 3600.0

_DECODER = msgspec.json.Decoder(Heartbeat)


class Answer(msgspec.Struct, frozen=True):
    """What an agent is told: how often to send, and whether to send everything at once now."""

    interval: float
    full: bool


class Heartbeats:
    """POST /v1/heartbeats."""

    def __init__(self, recorder: Recorder, interval: float) -> None:
        self._recorder = recorder
        self._interval = interval

    async def on_post(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Answered when the heartbeat is on record, so that an agent knows."""
        if (request.content_length or 0) > LARGEST:
            raise falcon.HTTPContentTooLarge
        try:
            heartbeat = _DECODER.decode(await request.stream.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise falcon.HTTPBadRequest(description=str(error)) from error
        if heartbeat.version != VERSION:
            raise falcon.HTTPBadRequest(description=f"version {heartbeat.version} is spoken, not {VERSION}")
        if pki.agent(heartbeat.host) not in request.scope["state"]["peer"]:
            raise falcon.HTTPForbidden(description=f"the certificate is not that of the agent of {heartbeat.host}")
        try:
            full = await asyncio.wrap_future(self._recorder.submit(heartbeat))
        except errors.Unavailable as error:
            raise falcon.HTTPServiceUnavailable(description=str(error)) from error
        response.data = msgspec.json.encode(Answer(self._interval, full))
        response.content_type = falcon.MEDIA_JSON


def application(recorder: Recorder, interval: float) -> falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]:
    """The ASGI application; its server must put the client's names into scope["state"]["peer"]."""
    app = falcon.asgi.App()
    app.add_route("/v1/heartbeats", Heartbeats(recorder, interval))
    return app


def run(conf: cfg.ConfigOpts, stop: threading.Event) -> None:
    """Take heartbeats and watch for lost hosts until `stop` is set. Raises errors.Unavailable, OSError."""
    engine = engines.hurried(engines.configured(conf))
    engines.upgrade(engine)
    directory = pki.directory(conf.state_dir)
    host = conf.health.bind_host

    def certificate() -> pki.Identity:
        return pki.ensure(directory, "health", pki.HEALTH, [host])

    wakeup = Wakeup(conf.run_dir)
    recorder = Recorder(engine, conf.health.host_timeout, wakeup.send, conf.events_kept)
    detector = Detector(engine, conf.health.host_timeout, conf.health.brake, wakeup.send, conf.events_kept)
    threads = [
        threading.Thread(target=recorder.run, args=(stop,), name="record", daemon=True),
        threading.Thread(target=detector.run, args=(stop,), name="detect", daemon=True),
        threading.Thread(target=_renew, args=(certificate, stop), name="certificates", daemon=True),
    ]
    identity = certificate()
    for thread in threads:
        thread.start()
    try:
        serve(application(recorder, conf.agent.heartbeat_interval), host, conf.health.bind_port, identity, stop)
    finally:
        stop.set()
        recorder.close()
        for thread in threads:
            thread.join()
        engine.dispose()


def _renew(ensure: Callable[[], pki.Identity], stop: threading.Event) -> None:
    """Make the certificate anew in time; the server reads it when it changes on disk."""
    while not stop.wait(RENEW):
        try:
            ensure()
        except OSError as error:
            LOG.warning("cannot renew the certificate: %s", error)
