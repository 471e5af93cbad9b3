# SPDX-License-Identifier: Apache-2.0
"""The receiver of heartbeats as it runs: over mutual TLS, into a database."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from ottava import options, pki
from ottava.health import receive
from ottava.store import engine as engines
from ottava.store import hosts
from ottava.wire.heartbeat import Facts, Heartbeat

Post = Callable[..., httpx.Response]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def url(tmp_path) -> Iterator[str]:
    port = free_port()
    conf = options.load(
        overrides={
            ("DEFAULT", "state_dir"): str(tmp_path / "state"),
            ("DEFAULT", "run_dir"): str(tmp_path / "run"),
            ("health", "bind_port"): port,
            ("agent", "heartbeat_interval"): 7.0,
        }
    )
    stop = threading.Event()
    thread = threading.Thread(target=receive.run, args=(conf, stop))
    thread.start()
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.01)
    yield f"https://127.0.0.1:{port}/v1/heartbeats"
    stop.set()
    thread.join()


@pytest.fixture
def post(tmp_path, url) -> Post:
    def post(body: bytes, name: str, uri: str | None) -> httpx.Response:
        folder = pki.directory(tmp_path / "state")
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        if uri:
            files = pki.ensure(folder, name, uri)
            context.load_cert_chain(files.certificate, files.key)
        return httpx.post(url, content=body, verify=context, trust_env=False)

    return post


def beat(host: str, **more: object) -> bytes:
    facts = {"sequence": 1, "facts": Facts(hostname=host)} | more
    return msgspec.json.encode(Heartbeat(host=host, url=f"https://{host}.invalid:9443", started=1.0, **facts))


def known(tmp_path: Path) -> list[str]:
    engine = engines.create_engine(f"sqlite:///{tmp_path}/state/ottava.sqlite")
    with engines.reading(engine) as conn:
        found = [host.name for host in hosts.all(conn)]
    engine.dispose()
    return found


def test_a_host_is_heard(post, tmp_path):
    answer = post(beat("host-1"), "agent-1", pki.agent("host-1"))
    assert answer.status_code == 200
    assert answer.json() == {"interval": 7.0, "full": False}
    assert known(tmp_path) == ["host-1"]
    assert post(beat("host-1", sequence=5, partial=True), "agent-1", pki.agent("host-1")).json()["full"]


@pytest.mark.parametrize("uri", [pki.agent("host-2"), pki.CONTROLLER, pki.HEALTH, "ottava:agent:", "ottava:agent:host"])
def test_nobody_speaks_for_another_host(post, tmp_path, uri):
    assert post(beat("host-1"), "other", uri).status_code == 403
    assert known(tmp_path) == []


def test_without_a_certificate_nothing_is_said(post):
    with pytest.raises(httpx.HTTPError):
        post(beat("host-1"), "none", None)


def test_a_certificate_of_another_authority_is_worth_nothing(post, url, tmp_path):
    stranger = pki.ensure(tmp_path / "strange", "agent-1", pki.agent("host-1"))
    context = ssl.create_default_context(cafile=str(pki.directory(tmp_path / "state") / "ca.pem"))
    context.load_cert_chain(stranger.certificate, stranger.key)
    with pytest.raises(httpx.HTTPError):
        httpx.post(url, content=beat("host-1"), verify=context, trust_env=False)
    assert known(tmp_path) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'{"host": 1}', beat("host-1", version=99)])
def test_what_is_no_heartbeat_is_refused(post, tmp_path, body):
    assert post(body, "agent-1", pki.agent("host-1")).status_code == 400
    assert known(tmp_path) == []
