# SPDX-License-Identifier: Apache-2.0
"""What must hold of a listener."""

import ipaddress
from collections.abc import Mapping

import msgspec

from ottava.model import errors, scalars, status
from ottava.model.graph import LoadBalancerGraph
from ottava.model.listener import HTTP_PROTOCOLS, INSERT_HEADERS, TLS_INSERT_HEADERS, Listener
from ottava.model.pool import Pool
from ottava.rules.consistency import tls
from ottava.rules.consistency.surroundings import check_protocols, referred
from ottava.rules.deployment import Deployment

LAYER_4 = {
    "TCP": "TCP",
    "HTTP": "TCP",
    "HTTPS": "TCP",
    "TERMINATED_HTTPS": "TCP",
    "PROMETHEUS": "TCP",
    "UDP": "UDP",
    "SCTP": "SCTP",
}
"""A port is taken once for each of these."""

TLS_PROTOCOLS = ("TERMINATED_HTTPS", "PROMETHEUS")
"""What may show a certificate; the first must."""


def complete(listener: Listener, deployment: Deployment) -> Listener:
    """An empty list of networks lets everybody in, as none does; what terminates TLS says how."""
    open_to_all = _open(listener)
    return (
        tls.complete(open_to_all, deployment.listener_tls) if listener.protocol == "TERMINATED_HTTPS" else open_to_all
    )


def merge(old: Listener, changes: Mapping[str, object], deployment: Deployment) -> Listener:
    """A null asks for the defaults of TLS, whatever is spoken, and ends the authentication of clients."""
    merged = _open(msgspec.structs.replace(old, **changes))
    authentication: object = merged.client_authentication
    if authentication is None:
        if merged.client_ca_tls_container_ref is None:
            raise _lacks_authority("None")
        merged = msgspec.structs.replace(merged, client_authentication="NONE")
    defaults: dict[str, object] = {
        "tls_ciphers": deployment.listener_tls.ciphers,
        "tls_versions": deployment.listener_tls.versions,
        "alpn_protocols": deployment.listener_tls.alpn,
    }
    asked = {name: value for name, value in defaults.items() if name in changes and changes[name] is None}
    return msgspec.structs.replace(merged, **asked) if asked else merged


def check(graph: LoadBalancerGraph, listener: Listener, old: Listener | None, deployment: Deployment) -> None:
    """Its default pool, headers, certificates, port, networks and what TLS it speaks; in this order."""
    if listener.default_pool_id is not None:
        check_protocols(listener, referred(graph.pools, Pool, listener.default_pool_id))
    _check_headers(listener)
    _check_certificates(listener, old, deployment)
    tls.check_ciphers(listener, old, deployment)
    _check_port(graph, listener)
    _check_cidrs(graph, listener)
    tls.check_versions(listener, old, _speaks_tls(listener), deployment)
    _check_hsts(listener, old)


def _open(listener: Listener) -> Listener:
    return listener if listener.allowed_cidrs else msgspec.structs.replace(listener, allowed_cidrs=None)


def _certified(listener: Listener) -> bool:
    return bool(listener.default_tls_container_ref or listener.sni_container_refs)


def _speaks_tls(listener: Listener) -> bool:
    return listener.protocol == "TERMINATED_HTTPS" or (listener.protocol == "PROMETHEUS" and _certified(listener))


def _check_headers(listener: Listener) -> None:
    if not listener.insert_headers:
        return
    if listener.protocol not in HTTP_PROTOCOLS:
        raise errors.BadOption(value="insert-headers", option=f"a {listener.protocol} protocol listener.")
    unknown = sorted(set(listener.insert_headers) - {*INSERT_HEADERS, *TLS_INSERT_HEADERS})
    if unknown:
        raise errors.BadOption(value=unknown, option="insert_headers")
    encrypted = sorted({*TLS_INSERT_HEADERS} & set(listener.insert_headers))
    if encrypted and listener.protocol == "HTTP":
        raise errors.BadOption(value=encrypted, option=f"{listener.protocol} protocol listener.")


def _check_certificates(listener: Listener, old: Listener | None, deployment: Deployment) -> None:
    """Which certificates it must have, may have, and must not have."""
    protocol, authority = listener.protocol, listener.client_ca_tls_container_ref
    if protocol in ("UDP", "SCTP") and (_certified(listener) or authority or listener.client_crl_container_ref):
        raise errors.Invalid(reason=f"{protocol} protocol listener does not support TLS.")
    if old is None:
        _check_allowed(listener, deployment)
    if protocol not in TLS_PROTOCOLS and _certified(listener):
        raise errors.Invalid(
            reason=f"Certificate container references are not allowed on {protocol} protocol listeners."
        )
    if authority and not _certified(listener) and tls.changed(listener, old, "client_ca_tls_container_ref"):
        raise errors.Invalid(
            reason="client_ca_tls_container_ref needs a default_tls_container_ref or sni_container_refs beside it."
        )
    if old is None and _speaks_tls(listener) and not _certified(listener):
        raise errors.Invalid(
            reason=f"A {protocol} listener needs a certificate: a default_tls_container_ref or sni_container_refs."
        )
    if listener.client_authentication != "NONE" and not authority:
        raise _lacks_authority(listener.client_authentication)
    if listener.client_crl_container_ref and not authority:
        raise errors.Invalid(reason="client_crl_container_ref needs a client_ca_tls_container_ref.")


def _check_allowed(listener: Listener, deployment: Deployment) -> None:
    if listener.protocol == "TERMINATED_HTTPS" and not deployment.tls_listeners:
        raise errors.DisabledOption(option="protocol", value=listener.protocol)
    if listener.protocol == "PROMETHEUS":
        if not deployment.prometheus_listeners:
            raise errors.DisabledOption(option="protocol", value=listener.protocol)
        if _certified(listener) and not deployment.tls_listeners:
            raise errors.DisabledOption(option="protocol", value="PROMETHEUS with TLS")


def _lacks_authority(authentication: str) -> errors.Invalid:
    return errors.Invalid(reason=f"client_authentication {authentication} needs a client_ca_tls_container_ref.")


def _check_port(graph: LoadBalancerGraph, listener: Listener) -> None:
    """No listener before it has the same port: of two in one request, the second is refused."""
    layer = LAYER_4[listener.protocol]
    for other in graph.listeners.values():
        if other.id == listener.id:
            return
        if other.provisioning_status == status.PENDING_DELETE:
            continue
        if other.protocol_port == listener.protocol_port and LAYER_4[other.protocol] == layer:
            raise errors.Duplicate(what="listener", protocol=other.protocol, protocol_port=other.protocol_port)


def _check_cidrs(graph: LoadBalancerGraph, listener: Listener) -> None:
    if not listener.allowed_cidrs:
        return
    balancer = graph.load_balancer
    if balancer.vip_sg_ids:
        raise errors.Invalid(reason="allowed_cidrs cannot be used with vip_sg_ids: the groups say who may connect.")
    vips = (balancer.vip_address, *(each.ip_address for each in balancer.additional_vips))
    if None in vips:
        return  # before the port is made not every address is known
    versions = sorted({scalars.address(vip).version for vip in vips if vip is not None})
    for cidr in listener.allowed_cidrs:
        if ipaddress.ip_network(cidr).version not in versions:
            raise errors.Invalid(
                reason=f"allowed_cidrs: {cidr} is not IPv{' or IPv'.join(map(str, versions))}, as the virtual IP of the "
                "load balancer is."
            )


def _check_hsts(listener: Listener, old: Listener | None) -> None:
    if listener.hsts_max_age is not None:
        if listener.protocol != "TERMINATED_HTTPS":
            raise errors.Invalid(reason="HSTS is only for TERMINATED_HTTPS listeners.")
        return
    for name in ("hsts_include_subdomains", "hsts_preload"):
        if getattr(listener, name) and tls.changed(listener, old, name):
            raise errors.Invalid(reason=f"{name} needs hsts_max_age.")
