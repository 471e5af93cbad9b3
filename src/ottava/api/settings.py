# SPDX-License-Identifier: Apache-2.0
"""The options that requests look at, read once: looking an option up costs more than a query."""

from collections.abc import Mapping, Sequence

import msgspec
from oslo_config import cfg

from ottava.model.attribute import attributes
from ottava.model.quota import Quota
from ottava.rules.deployment import TLS_VERSIONS, VIP_SOURCES, Deployment, Tls


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """See options.py for each; quotas are the defaults by kind."""

    auth_strategy: str
    user_file: str
    largest_body: int
    max_limit: int | None
    allow_pagination: bool
    allow_sorting: bool
    allow_filtering: bool
    allow_field_selection: bool
    base_uri: str
    immutable_while_pending: bool
    access_log: bool
    rate_limit: float
    rate_limit_burst: int
    orphan_grace: float
    events_kept: int
    quotas: Mapping[str, int]
    deployment: Deployment


def settings(conf: cfg.ConfigOpts) -> Settings:
    """The settings of one configuration."""
    api = conf.api
    return Settings(
        auth_strategy=api.auth_strategy,
        user_file=api.http_basic_auth_user_file,
        largest_body=conf.oslo_middleware.max_request_body_size,
        max_limit=_most(api.pagination_max_limit),
        allow_pagination=api.allow_pagination,
        allow_sorting=api.allow_sorting,
        allow_filtering=api.allow_filtering,
        allow_field_selection=api.allow_field_selection,
        base_uri=api.base_uri.rstrip("/"),
        immutable_while_pending=api.immutable_while_pending,
        access_log=api.access_log,
        rate_limit=api.rate_limit,
        rate_limit_burst=api.rate_limit_burst,
        orphan_grace=conf.controller.orphan_grace,
        events_kept=conf.events_kept,
        quotas={kind: conf.quotas[f"default_{kind}_quota"] for kind in attributes(Quota)},
        deployment=deployment(conf),
    )


def _most(text: str) -> int | None:
    """How many; None for any number."""
    number = 0 if text == "infinite" else int(text)
    return number if number > 0 else None


def deployment(conf: cfg.ConfigOpts) -> Deployment:
    """What the operator allows, as the rules ask for it."""
    api, network = conf.api, conf.network
    least = api.minimum_tls_version or None

    def versions(wanted: Sequence[str]) -> tuple[str, ...]:
        if least is None:
            return tuple(wanted)
        return tuple(each for each in wanted if TLS_VERSIONS.index(each) >= TLS_VERSIONS.index(least)) or (least,)

    return Deployment(
        listener_tls=Tls(
            api.default_listener_ciphers,
            versions(api.default_listener_tls_versions),
            tuple(api.default_listener_alpn_protocols),
        ),
        pool_tls=Tls(
            api.default_pool_ciphers, versions(api.default_pool_tls_versions), tuple(api.default_pool_alpn_protocols)
        ),
        minimum_tls_version=least,
        prohibited_ciphers=frozenset(api.tls_cipher_prohibit_list),
        tls_listeners=api.allow_tls_terminated_listeners,
        prometheus_listeners=api.allow_prometheus_listeners,
        ping_monitors=api.allow_ping_health_monitors,
        udp_connect_interval=api.udp_connect_min_interval_health_monitor,
        reserved_ips=tuple(network.reserved_ips),
        vip_sources=tuple(name for name in VIP_SOURCES if network[f"allow_{name}"]),
        vip_networks=frozenset(network.valid_vip_networks),
        denied_vip_networks=frozenset(network.denylist_vip_networks),
    )
