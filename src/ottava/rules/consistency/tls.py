# SPDX-License-Identifier: Apache-2.0
"""What must hold of TLS, towards clients (listeners) and towards members (pools)."""

from typing import TypeVar

import msgspec

from ottava.model import errors
from ottava.model.listener import Listener
from ottava.model.pool import Pool
from ottava.rules.deployment import TLS_VERSIONS, Deployment, Tls

S = TypeVar("S", Listener, Pool)


def complete(speaker: S, defaults: Tls) -> S:
    """What TLS needs and nothing was said of gets its default."""
    missing: dict[str, object] = {}
    if speaker.tls_ciphers is None:
        missing["tls_ciphers"] = defaults.ciphers
    if speaker.tls_versions is None:
        missing["tls_versions"] = defaults.versions
    if speaker.alpn_protocols is None:
        missing["alpn_protocols"] = defaults.alpn
    return msgspec.structs.replace(speaker, **missing) if missing else speaker


def changed(speaker: S, old: S | None, name: str) -> bool:
    """Whether an attribute is new: what was taken once stays, even if the operator would refuse it now."""
    return old is None or getattr(old, name) != getattr(speaker, name)


def check_ciphers(speaker: S, old: S | None, deployment: Deployment) -> None:
    """Raises Invalid for ciphers that the operator prohibits."""
    if not speaker.tls_ciphers or not changed(speaker, old, "tls_ciphers"):
        return
    prohibited = [each for each in speaker.tls_ciphers.split(":") if each in deployment.prohibited_ciphers]
    if prohibited:
        raise errors.Invalid(reason=f"tls_ciphers: the operator prohibits {', '.join(prohibited)}.")


def check_versions(speaker: S, old: S | None, spoken: bool, deployment: Deployment) -> None:
    """Versions and protocols are known, and new enough; in a new object only where TLS is spoken at all.

    Raises Invalid.
    """
    if old is None and not spoken:
        return
    for name in ("tls_versions", "alpn_protocols"):
        if getattr(speaker, name) == () and changed(speaker, old, name):
            raise errors.Invalid(reason=f"{name} must not be an empty list: leave it out for the default.")
    if not speaker.tls_versions or not changed(speaker, old, "tls_versions"):
        return
    unknown = [each for each in speaker.tls_versions if each not in TLS_VERSIONS]
    if unknown:
        raise errors.Invalid(reason=f"tls_versions: {', '.join(unknown)} is none of {', '.join(TLS_VERSIONS)}.")
    least = deployment.minimum_tls_version
    if least is not None:
        older = [each for each in speaker.tls_versions if TLS_VERSIONS.index(each) < TLS_VERSIONS.index(least)]
        if older:
            raise errors.Invalid(
                reason=f"tls_versions: {', '.join(older)} is older than {least}, the oldest that the operator allows."
            )
