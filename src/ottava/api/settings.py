# SPDX-License-Identifier: Apache-2.0
"""The options that requests look at, read once: looking an option up costs more than a query."""

from collections.abc import Mapping

import msgspec
from oslo_config import cfg

from ottava.model.attribute import attributes
from ottava.model.quota import Quota


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """See options.py for each; quotas are the defaults by kind."""

    auth_strategy: str
    user_file: str
    largest_body: int
    max_limit: int
    allow_pagination: bool
    allow_sorting: bool
    allow_filtering: bool
    allow_field_selection: bool
    base_uri: str
    immutable_while_pending: bool
    healthcheck: bool
    orphan_grace: float
    quotas: Mapping[str, int]


def settings(conf: cfg.ConfigOpts) -> Settings:
    """The settings of one configuration."""
    api = conf.api
    return Settings(
        auth_strategy=api.auth_strategy,
        user_file=api.http_basic_auth_user_file,
        largest_body=conf.oslo_middleware.max_request_body_size,
        max_limit=api.pagination_max_limit,
        allow_pagination=api.allow_pagination,
        allow_sorting=api.allow_sorting,
        allow_filtering=api.allow_filtering,
        allow_field_selection=api.allow_field_selection,
        base_uri=api.base_uri.rstrip("/"),
        immutable_while_pending=api.immutable_while_pending,
        healthcheck=api.healthcheck_enabled,
        orphan_grace=conf.controller.orphan_grace,
        quotas={kind: conf.quotas[f"default_{kind}_quota"] for kind in attributes(Quota)},
    )
