# SPDX-License-Identifier: Apache-2.0
"""Ottava's own certificate authority: who may speak to whom inside, without anybody's care.

In `<state_dir>/pki/`: `authority-N.pem` (key and certificate of an authority), `ca.pem` (the certificates of all
authorities that are trusted) and `NAME.pem` (key and certificate of one process). Key and certificate share a file,
so that one rename changes both. Everything is made when it is missing and made anew when a third of its life is left;
a new authority is trusted for a day before it signs, and the old one stays trusted until it ends.
"""

import contextlib
import datetime
import fcntl
import ipaddress
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONTROLLER = "ottava:controller"
HEALTH = "ottava:health"

LIFE = datetime.timedelta(days=7)
AUTHORITY_LIFE = datetime.timedelta(days=3650)
TRUSTED_BEFORE_SIGNING = datetime.timedelta(days=1)
_SKEW = datetime.timedelta(minutes=10)

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Identity:
    """Where the PEM files of one process are. Servers and clients read them again when they change."""

    certificate: Path
    key: Path
    authorities: Path


@dataclass(frozen=True)
class _Pair:
    key: _Key
    certificate: x509.Certificate


def agent(host: str) -> str:
    """The name of the agent on `host`, as it stands in its certificate."""
    return f"ottava:agent:{host}"


def directory(state_dir: str | Path) -> Path:
    """Where the certificates of the Ottava in `state_dir` are."""
    return Path(state_dir) / "pki"


def identity(pki: Path, name: str) -> Identity:
    """The files of `name`, whether they exist or not."""
    return Identity(certificate=pki / f"{name}.pem", key=pki / f"{name}.pem", authorities=pki / "ca.pem")


def ensure(
    pki: Path,
    name: str,
    uri: str,
    hosts: Sequence[str] = (),
    *,
    now: datetime.datetime | None = None,
    life: datetime.timedelta = LIFE,
) -> Identity:
    """A certificate for `uri` in `NAME.pem`, good for at least a third of `life`; makes what is missing or too old.

    name   of the file ("controller", "agent-host1")
    uri    CONTROLLER, HEALTH or agent(host)
    hosts  addresses and DNS names that the process answers on, besides the URI

    Where this machine holds no authority but a certificate that somebody brought (`ottava certificates issue`),
    that one is used as it is. Raises OSError.
    """
    files = identity(pki, name)
    moment = now or datetime.datetime.now(datetime.UTC)
    if files.certificate.exists() and files.authorities.exists() and not _authority_files(pki):
        return files
    with _locked(pki):
        trusted = _authorities(pki, moment)
        if not _good(files.certificate, uri, hosts, trusted, moment):
            _write(files.certificate, _pem(_issue(_signer(trusted, moment), uri, hosts, moment, life)))
    return files


def describe(path: Path) -> str:
    """One line for people: whose certificate `path` is and until when it holds. Raises OSError, ValueError."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = ", ".join(_names(certificate)) or certificate.subject.rfc4514_string()
    return f"{path}: {names}, until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"


@contextlib.contextmanager
def _locked(pki: Path) -> Iterator[None]:
    pki.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(pki / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _authority_files(pki: Path) -> list[Path]:
    return sorted(pki.glob("authority-*.pem"), key=lambda path: int(path.stem.split("-")[1]))


def _authorities(pki: Path, now: datetime.datetime) -> list[_Pair]:
    """All authorities that have not ended, oldest first; a new one is made in time, and ca.pem says the same."""
    files = _authority_files(pki)
    pairs = [pair for pair in map(_read, files) if pair and pair.certificate.not_valid_after_utc > now]
    if not pairs or _ending(pairs[-1].certificate, now):
        number = int(files[-1].stem.split("-")[1]) + 1 if files else 1
        pairs.append(_new_authority(number, now))
        _write(pki / f"authority-{number}.pem", _pem(pairs[-1]))
    bundle = b"".join(pair.certificate.public_bytes(serialization.Encoding.PEM) for pair in pairs)
    if not (pki / "ca.pem").exists() or (pki / "ca.pem").read_bytes() != bundle:
        _write(pki / "ca.pem", bundle)
    return pairs


def _signer(trusted: list[_Pair], now: datetime.datetime) -> _Pair:
    """The newest authority that everybody has had the time to learn of."""
    known = [pair for pair in trusted if pair.certificate.not_valid_before_utc + _SKEW + TRUSTED_BEFORE_SIGNING <= now]
    return known[-1] if known else trusted[0]


def _ending(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now < life / 3


def _good(path: Path, uri: str, hosts: Sequence[str], trusted: list[_Pair], now: datetime.datetime) -> bool:
    pair = _read(path)
    if pair is None or _ending(pair.certificate, now) or pair.certificate.not_valid_before_utc > now:
        return False
    if pair.key.public_key() != pair.certificate.public_key():
        return False
    if set(_names(pair.certificate)) != {uri, *hosts}:
        return False
    return any(_signed_by(pair.certificate, authority.certificate) for authority in trusted)


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _new_authority(number: int, now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ottava"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Ottava authority {number} {os.urandom(4).hex()}"),
        ]
    )
    public = key.public_key()
    certificate = (
        _builder(name, name, public, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Pair(key, certificate)


def _issue(signer: _Pair, uri: str, hosts: Sequence[str], now: datetime.datetime, life: datetime.timedelta) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri[:64])])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), *map(_general_name, hosts)]
    authority = x509.SubjectKeyIdentifier.from_public_key(signer.key.public_key())
    certificate = (
        _builder(subject, signer.certificate.subject, public, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    return _Pair(key, certificate)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(pair: _Pair) -> bytes:
    key = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key + pair.certificate.public_bytes(serialization.Encoding.PEM)


def _read(path: Path) -> _Pair | None:
    """Key and certificate in `path`; None if there is no such file or it does not hold both."""
    try:
        data = path.read_bytes()
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except (FileNotFoundError, ValueError):
        return None
    return _Pair(key, certificate) if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _write(path: Path, data: bytes) -> None:
    """Replace `path` as a whole, so that a crash leaves the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
