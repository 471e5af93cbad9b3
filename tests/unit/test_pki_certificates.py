# SPDX-License-Identifier: Apache-2.0
"""Ottava's own certificates: who is trusted, when they are made anew, and that no moment leaves half of one."""

import datetime
import os
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509

from ottava import pki

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


def _serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def _handshake(server: pki.Identity, client: pki.Identity) -> dict[str, object]:
    """The client's certificate as the server sees it, after a TLS handshake with both sides checked."""
    accepting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(server.authorities))
    accepting.verify_mode = ssl.CERT_REQUIRED
    accepting.load_cert_chain(server.certificate, server.key)
    calling = ssl.create_default_context(cafile=str(client.authorities))
    calling.load_cert_chain(client.certificate, client.key)
    left, right = socket.socketpair()
    seen: list[dict[str, object]] = []

    def serve() -> None:
        with suppress(OSError), left, accepting.wrap_socket(left, server_side=True) as connection:
            seen.append(dict(connection.getpeercert() or {}))
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with right, calling.wrap_socket(right, server_hostname="127.0.0.1") as connection:
        connection.send(b"x")
    thread.join()
    return seen[0]


def test_two_processes_trust_each_other_and_see_the_role(tmp_path: Path) -> None:
    agent = pki.ensure(tmp_path, "agent", pki.agent("host1"), ["127.0.0.1", "localhost"])
    controller = pki.ensure(tmp_path, "controller", pki.CONTROLLER)
    assert ("URI", "ottava:controller") in _handshake(agent, controller)["subjectAltName"]  # type: ignore[operator]


def test_another_authority_is_refused(tmp_path: Path) -> None:
    ours = pki.ensure(tmp_path / "a", "agent", pki.agent("host1"), ["127.0.0.1"])
    theirs = pki.ensure(tmp_path / "b", "controller", pki.CONTROLLER)
    stranger = pki.Identity(theirs.certificate, theirs.key, ours.authorities)
    with pytest.raises((IndexError, ssl.SSLError, ConnectionError)):
        _handshake(ours, stranger)


def test_what_is_good_is_kept_and_what_is_old_is_made_anew_in_time(tmp_path: Path) -> None:
    first = _serial(pki.ensure(tmp_path, "agent", pki.agent("h"), now=NOW).certificate)
    assert _serial(pki.ensure(tmp_path, "agent", pki.agent("h"), now=NOW + 4 * DAY).certificate) == first
    assert _serial(pki.ensure(tmp_path, "agent", pki.agent("h"), now=NOW + 5 * DAY).certificate) != first


def test_another_name_or_address_brings_another_certificate(tmp_path: Path) -> None:
    first = _serial(pki.ensure(tmp_path, "agent", pki.agent("h"), ["127.0.0.1"]).certificate)
    second = _serial(pki.ensure(tmp_path, "agent", pki.agent("h"), ["127.0.0.2"]).certificate)
    third = _serial(pki.ensure(tmp_path, "agent", pki.agent("g"), ["127.0.0.2"]).certificate)
    assert len({first, second, third}) == 3


def test_a_new_authority_is_trusted_before_it_signs_and_the_old_one_until_it_ends(tmp_path: Path) -> None:
    pki.ensure(tmp_path, "agent", pki.agent("h"), now=NOW)
    later = NOW + pki.AUTHORITY_LIFE * 2 / 3 + DAY
    pki.ensure(tmp_path, "agent", pki.agent("h"), now=later)
    bundle = x509.load_pem_x509_certificates((tmp_path / "ca.pem").read_bytes())
    assert len(bundle) == 2
    signed = x509.load_pem_x509_certificate((tmp_path / "agent.pem").read_bytes())
    signed.verify_directly_issued_by(bundle[0])
    pki.ensure(tmp_path, "agent", pki.agent("h"), now=later + 6 * DAY)
    signed = x509.load_pem_x509_certificate((tmp_path / "agent.pem").read_bytes())
    signed.verify_directly_issued_by(bundle[1])
    pki.ensure(tmp_path, "agent", pki.agent("h"), now=NOW + pki.AUTHORITY_LIFE + DAY)
    assert x509.load_pem_x509_certificates((tmp_path / "ca.pem").read_bytes()) == bundle[1:]


@pytest.mark.parametrize("left", ["", "-----BEGIN PRIVATE KEY-----\n", "half"])
def test_a_broken_file_is_replaced(tmp_path: Path, left: str) -> None:
    files = pki.ensure(tmp_path, "agent", pki.agent("h"), ["127.0.0.1"])
    files.certificate.write_text(left)
    pki.ensure(tmp_path, "agent", pki.agent("h"), ["127.0.0.1"])
    assert _handshake(files, files)


def test_a_host_without_an_authority_uses_what_it_was_given(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path / "here", "agent", pki.agent("h"))
    there = tmp_path / "there"
    there.mkdir()
    (there / "agent.pem").write_bytes(made.certificate.read_bytes())
    (there / "ca.pem").write_bytes(made.authorities.read_bytes())
    assert _serial(pki.ensure(there, "agent", pki.agent("h")).certificate) == _serial(made.certificate)
    assert sorted(os.listdir(there)) == ["agent.pem", "ca.pem"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    pki.ensure(tmp_path / "pki", "agent", pki.agent("h"))
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "pki").iterdir()} == {0o600}


def test_many_at_once_make_one_authority(tmp_path: Path) -> None:
    def make(number: int) -> None:
        pki.ensure(tmp_path, f"agent-{number}", pki.agent(str(number)))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("authority-*.pem"))) == 1
    assert len(list(tmp_path.glob("agent-*.pem"))) == 8
