# SPDX-License-Identifier: Apache-2.0
"""Every attribute of the resources of a tree.

The defaults are for rows that are there already. They stay in the database: to take them away again, SQLite would have to
copy each table.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from ottava.store.columns import string, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns."""
    for table, columns in (
        ("loadbalancer", _load_balancer()),
        ("listener", _listener()),
        ("pool", _pool()),
        ("member", _member()),
    ):
        for column in columns:
            op.add_column(table, column)


def _load_balancer() -> Iterator[sa.Column[Any]]:
    yield sa.Column("vip_qos_policy_id", string(64))
    yield sa.Column("vip_sg_ids", text(), nullable=False, server_default="[]")
    yield sa.Column("vip_vnic_type", string(64), nullable=False, server_default="normal")
    yield sa.Column("additional_vips", text(), nullable=False, server_default="[]")
    yield sa.Column("server_group_id", string(64))


def _listener() -> Iterator[sa.Column[Any]]:
    yield sa.Column("default_tls_container_ref", string(255))
    yield sa.Column("sni_container_refs", text(), nullable=False, server_default="[]")
    yield sa.Column("client_ca_tls_container_ref", string(255))
    yield sa.Column("client_authentication", string(64), nullable=False, server_default="NONE")
    yield sa.Column("client_crl_container_ref", string(255))
    yield from _tls()
    yield sa.Column("hsts_max_age", sa.BigInteger())
    yield sa.Column("hsts_include_subdomains", sa.Boolean(), nullable=False, server_default=sa.false())
    yield sa.Column("hsts_preload", sa.Boolean(), nullable=False, server_default=sa.false())


def _pool() -> Iterator[sa.Column[Any]]:
    yield sa.Column("tls_enabled", sa.Boolean(), nullable=False, server_default=sa.false())
    yield sa.Column("tls_container_ref", string(255))
    yield sa.Column("ca_tls_container_ref", string(255))
    yield sa.Column("crl_container_ref", string(255))
    yield from _tls()


def _tls() -> Iterator[sa.Column[Any]]:
    yield sa.Column("tls_ciphers", string(2048))
    yield sa.Column("tls_versions", text())
    yield sa.Column("alpn_protocols", text())


def _member() -> Iterator[sa.Column[Any]]:
    yield sa.Column("request_sriov", sa.Boolean(), nullable=False, server_default=sa.false())
    yield sa.Column("vnic_type", string(64), nullable=False, server_default="normal")
