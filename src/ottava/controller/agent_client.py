# SPDX-License-Identifier: Apache-2.0
"""Asking agents over HTTPS with mutual TLS, connections kept open between questions."""

import ssl
import threading
from typing import TypeVar

import httpx
import msgspec

from ottava import pki
from ottava.controller.agents import Misunderstood, Unreachable
from ottava.wire import VERSION
from ottava.wire.applied import Applied
from ottava.wire.desired import Desired
from ottava.wire.heartbeat import Facts, Report

T = TypeVar("T")

TIMEOUT = httpx.Timeout(connect=2.0, read=25.0, write=5.0, pool=5.0)
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60.0)

_FACTS = msgspec.json.Decoder(Facts)
_APPLIED = msgspec.json.Decoder(Applied)
_REPORTS = msgspec.json.Decoder(list[Report])


class AgentClient:
    """See agents.Agents. May be used by many threads at once."""

    def __init__(self, identity: pki.Identity, timeout: httpx.Timeout = TIMEOUT) -> None:
        self._identity = identity
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._read: tuple[int, ...] = ()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._client:
                self._client.close()
            self._client = None

    def facts(self, host: str, url: str) -> Facts:
        """See agents.Agents."""
        return self._ask(_FACTS, host, "GET", f"{url}/v1/facts")

    def reports(self, host: str, url: str) -> list[Report]:
        """See agents.Agents."""
        return self._ask(_REPORTS, host, "GET", f"{url}/v1/amphorae")

    def applied(self, host: str, url: str, amphora_id: str) -> Applied:
        """See agents.Agents."""
        return self._ask(_APPLIED, host, "GET", f"{url}/v1/amphorae/{amphora_id}")

    def apply(self, host: str, url: str, desired: Desired) -> Applied:
        """See agents.Agents."""
        body = msgspec.json.encode(desired)
        return self._ask(_APPLIED, host, "PUT", f"{url}/v1/amphorae/{desired.amphora_id}", body)

    def remove(self, host: str, url: str, amphora_id: str, epoch: int, generation: int) -> Applied:
        """See agents.Agents."""
        query = f"epoch={epoch}&generation={generation}"
        return self._ask(_APPLIED, host, "DELETE", f"{url}/v1/amphorae/{amphora_id}?{query}")

    def _ask(self, decoder: msgspec.json.Decoder[T], host: str, method: str, url: str, body: bytes | None = None) -> T:
        """Every question may be put twice without harm, so a connection that broke is tried once more."""
        try:
            answer = self._send(host, method, url, body)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            try:
                answer = self._send(host, method, url, body)
            except httpx.HTTPError as error:
                raise Unreachable(_words(host, url, error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(_words(host, url, error)) from error
        if answer.status_code != 200:
            said = answer.text[:300].strip()
            raise Misunderstood(f"the agent of host {host} answered {answer.status_code} to {method} {url}: {said}")
        try:
            found = decoder.decode(answer.content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Misunderstood(
                f"the agent of host {host} answered in words that are not understood: {error}"
            ) from error
        if isinstance(found, Applied) and found.version != VERSION:
            raise Misunderstood(f"the agent of host {host} speaks version {found.version}, not {VERSION}")
        return found

    def _send(self, host: str, method: str, url: str, body: bytes | None) -> httpx.Response:
        request_headers = {"content-type": "application/json"} if body is not None else None
        with self._current().stream(method, url, content=body, headers=request_headers) as answer:
            _check_name(answer, host)
            answer.read()
            return answer

    def _current(self) -> httpx.Client:
        """The client, made anew when the certificates on disk are others than those it was made with."""
        files = self._identity
        read = tuple(path.stat().st_mtime_ns for path in (files.certificate, files.key, files.authorities))
        with self._lock:
            if self._client is None or read != self._read:
                # The old client is let go, not closed: other threads may be in the middle of a question.
                self._client = httpx.Client(
                    verify=_context(files), timeout=self._timeout, limits=LIMITS, trust_env=False
                )
                self._read = read
            return self._client


def _context(files: pki.Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(files.authorities))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(files.certificate, files.key)
    return context


def _check_name(answer: httpx.Response, host: str) -> None:
    """An agent speaks for its own host alone, whatever addresses its certificate names."""
    stream = answer.extensions["network_stream"]
    tls = stream.get_extra_info("ssl_object")
    names = tls.getpeercert().get("subjectAltName", ()) if tls else ()
    if ("URI", pki.agent(host)) not in names:
        raise httpx.ConnectError(f"the certificate there is not that of the agent of host {host}")


def _words(host: str, url: str, error: Exception) -> str:
    place = url.split("/v1/", 1)[0]
    return f"the agent of host {host} does not answer at {place}: {error or type(error).__name__}"
