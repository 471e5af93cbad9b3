# SPDX-License-Identifier: Apache-2.0
"""What the operator allows and has as defaults, as far as the rules ask for it. Pure: api/settings.py reads the options."""

import msgspec

TLS_VERSIONS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
"""From the oldest to the newest."""

VIP_SOURCES = ("vip_port_id", "vip_network_id", "vip_subnet_id")
"""What may say where a virtual IP comes from; the first given wins."""

CIPHERS = (
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
)  # fmt: skip


class Tls(msgspec.Struct, frozen=True):
    """What TLS is spoken where nothing is said of it. ciphers: by their OpenSSL names, with colons between."""

    ciphers: str = ":".join(CIPHERS)
    versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    alpn: tuple[str, ...] = ("h2", "http/1.1", "http/1.0")


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked for in this deployment.

    listener_tls, pool_tls  defaults towards clients, and towards members
    minimum_tls_version     the oldest that may be asked for; any if None
    prohibited_ciphers      names that may not be asked for
    udp_connect_interval    least seconds between two checks of UDP-CONNECT
    reserved_ips            addresses that no member may have
    vip_sources             attributes that may say where a virtual IP comes from
    vip_networks            the only networks that virtual IPs may be in; any if empty
    denied_vip_networks     networks that virtual IPs may not be in
    """

    listener_tls: Tls = Tls()
    pool_tls: Tls = Tls()
    minimum_tls_version: str | None = None
    prohibited_ciphers: frozenset[str] = frozenset()
    tls_listeners: bool = True
    prometheus_listeners: bool = True
    ping_monitors: bool = True
    udp_connect_interval: int = 3
    reserved_ips: tuple[str, ...] = ("169.254.169.254",)
    vip_sources: tuple[str, ...] = VIP_SOURCES
    vip_networks: frozenset[str] = frozenset()
    denied_vip_networks: frozenset[str] = frozenset()


STANDARD = Deployment()
"""Where the operator has said nothing."""
