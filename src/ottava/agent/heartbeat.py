# SPDX-License-Identifier: Apache-2.0
"""Tells the health receiver what this host and its amphorae are: everything in turn, changes at once."""

import asyncio
import importlib
import logging
import random
import time
from typing import TYPE_CHECKING

import msgspec

from ottava.agent import host
from ottava.agent.amphora import Amphora
from ottava.agent.amphorae import Amphorae
from ottava.agent.certificates import Certificates
from ottava.agent.settings import Settings
from ottava.wire.heartbeat import Facts
from ottava.wire.heartbeat import Heartbeat as Message

if TYPE_CHECKING:
    import httpx

LOG = logging.getLogger(__name__)
TIMEOUT = 5.0
GATHER = 0.003
FACTS_EVERY = 60.0


class _Answer(msgspec.Struct):
    """What the receiver asks for: the pace in seconds, and whether it lacks something that a full heartbeat tells."""

    interval: float = 0.0
    full: bool = False


class HostFacts:
    """The host's facts, looked up again now and then: HAProxy may be installed or upgraded meanwhile."""

    def __init__(self, binary: str) -> None:
        self._binary = binary
        self._facts = Facts()
        self._at = 0.0

    async def get(self) -> Facts:
        """As they are, at most a minute old."""
        if not self._facts.haproxy or time.monotonic() - self._at > FACTS_EVERY:
            self._facts = await asyncio.to_thread(host.facts, self._binary)
            self._at = time.monotonic()
        return self._facts


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


class Heartbeat:
    """Follows the amphorae; `run` sends."""

    def __init__(self, settings: Settings, amphorae: Amphorae, certificates: Certificates, facts: HostFacts) -> None:
        self._settings = settings
        self._amphorae = amphorae
        self._certificates = certificates
        self._facts = facts
        self._started = time.time()
        self._sequence = 0
        self._interval = settings.heartbeat_interval
        self._changed: dict[str, Amphora] = {}
        self._wake = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._heard = True

    def follow(self, amphora: Amphora) -> None:
        """It changed: say so at once."""
        self._changed[amphora.id] = amphora
        self._wake.set()

    def forget(self, amphora: Amphora) -> None:
        """There is nothing to say of it any more."""
        self._changed.pop(amphora.id, None)

    async def run(self) -> None:
        """Send, for ever. What cannot be sent is not kept: the next full heartbeat tells it all."""
        await self._amphorae.ready.wait()
        await asyncio.to_thread(importlib.import_module, "httpx")  # takes its time, and the API answers meanwhile
        due = 0.0
        try:
            while True:
                partial = time.monotonic() < due
                if not partial:
                    due = time.monotonic() + self._interval * random.uniform(0.9, 1.0)  # noqa: S311
                    self._changed.clear()
                if await self._send(partial):
                    due = 0.0
                    continue
                await self._next(due)
        finally:
            await self._close()

    async def _next(self, due: float) -> None:
        """Until something changed, or it is time for everything."""
        if not self._changed:
            self._wake.clear()
            try:
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                return
        await asyncio.sleep(GATHER)

    async def _send(self, partial: bool) -> bool:
        """True if a full heartbeat is wanted at once."""
        changed = list(self._changed.values()) if partial else list(self._amphorae)
        self._changed.clear()
        reports = await self._amphorae.reports(changed)
        if not partial:
            await self._amphorae.store_counters()
        if not self._settings.health_url or (partial and not reports):
            return False
        self._sequence += 1
        message = Message(
            host=self._settings.host,
            url=self._settings.url,
            started=self._started,
            sequence=self._sequence,
            partial=partial,
            facts=await self._facts.get(),
            reports=reports,
        )
        answer = await self._post(msgspec.json.encode(message))
        if answer is not None and answer.interval > 0:
            self._interval = answer.interval
        return partial and answer is not None and answer.full

    async def _post(self, body: bytes) -> _Answer | None:
        import httpx

        try:
            if self._certificates.refresh():
                await self._close()  # a kept connection would go on with the old certificate
            if self._client is None:
                self._client = httpx.AsyncClient(verify=self._certificates.client, timeout=TIMEOUT, trust_env=False)
            url = self._settings.health_url.rstrip("/") + "/v1/heartbeats"
            response = await self._client.post(url, content=body, headers={"content-type": "application/json"})
            if response.status_code != 200:
                raise httpx.HTTPError(f"it answered {response.status_code}")
            answer = msgspec.json.decode(response.content, type=_Answer)
        except (httpx.HTTPError, OSError, msgspec.MsgspecError) as error:
            LOG.log(
                logging.WARNING if self._heard else logging.DEBUG,
                "the health receiver does not hear: %s",
                _words(error),
            )
            self._heard = False
            return None
        self._heard = True
        return answer

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None
