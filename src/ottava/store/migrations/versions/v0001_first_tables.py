# SPDX-License-Identifier: Apache-2.0
"""The first tables."""

import sqlalchemy as sa
from alembic import op

from ottava.store.columns import string, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""

    _address()
    _amphora()
    _host()
    _loadbalancer()
    _quota()
    _report()
    _statistics()
    _tag()
    _work()
    _listener()
    _pool()
    _healthmonitor()
    _l7policy()
    _member()
    _rule()


def _address() -> None:
    op.create_table(
        "address",
        sa.Column("network_id", string(36), nullable=False),
        sa.Column("subnet_id", string(36), nullable=False),
        sa.Column("address", string(64), nullable=False),
        sa.Column("port_id", string(36), nullable=False),
        sa.Column("owner", string(255), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "subnet_id", "address", name="pk_address"),
    )
    op.create_index("ix_address_owner", "address", ["owner"], unique=False)
    op.create_index("ix_address_port_id", "address", ["port_id"], unique=False)


def _amphora() -> None:
    op.create_table(
        "amphora",
        sa.Column("id", string(36), nullable=False),
        sa.Column("loadbalancer_id", string(36), nullable=False),
        sa.Column("host", string(255), nullable=False),
        sa.Column("role", string(16), nullable=False),
        sa.Column("status", string(16), nullable=False),
        sa.Column("created_at", string(26), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_amphora"),
    )
    op.create_index("ix_amphora_host", "amphora", ["host"], unique=False)
    op.create_index("ix_amphora_loadbalancer_id", "amphora", ["loadbalancer_id"], unique=False)


def _host() -> None:
    op.create_table(
        "host",
        sa.Column("name", string(255), nullable=False),
        sa.Column("url", string(255), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.Column("facts", text(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_host"),
    )


def _loadbalancer() -> None:
    op.create_table(
        "loadbalancer",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("name", string(255), nullable=False),
        sa.Column("description", string(255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("vip_address", string(64), nullable=True),
        sa.Column("vip_subnet_id", string(64), nullable=True),
        sa.Column("vip_network_id", string(64), nullable=True),
        sa.Column("vip_port_id", string(64), nullable=True),
        sa.Column("provider", string(64), nullable=False),
        sa.Column("topology", string(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_loadbalancer"),
    )
    op.create_index("ix_loadbalancer_created_at_id", "loadbalancer", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_loadbalancer_project_id_created_at_id", "loadbalancer", ["project_id", "created_at", "id"], unique=False
    )


def _quota() -> None:
    op.create_table(
        "quota",
        sa.Column("project_id", string(36), nullable=False),
        sa.Column("loadbalancer", sa.BigInteger(), nullable=True),
        sa.Column("listener", sa.BigInteger(), nullable=True),
        sa.Column("pool", sa.BigInteger(), nullable=True),
        sa.Column("member", sa.BigInteger(), nullable=True),
        sa.Column("healthmonitor", sa.BigInteger(), nullable=True),
        sa.Column("l7policy", sa.BigInteger(), nullable=True),
        sa.Column("l7rule", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", name="pk_quota"),
    )


def _report() -> None:
    op.create_table(
        "report",
        sa.Column("amphora_id", string(36), nullable=False),
        sa.Column("loadbalancer_id", string(36), nullable=False),
        sa.Column("host", string(255), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("digest", string(64), nullable=False),
        sa.Column("running", sa.Boolean(), nullable=False),
        sa.Column("fault", text(), nullable=False),
        sa.Column("listeners", text(), nullable=False),
        sa.Column("pools", text(), nullable=False),
        sa.PrimaryKeyConstraint("amphora_id", name="pk_report"),
    )
    op.create_index("ix_report_host", "report", ["host"], unique=False)
    op.create_index("ix_report_loadbalancer_id", "report", ["loadbalancer_id"], unique=False)


def _statistics() -> None:
    op.create_table(
        "statistics",
        sa.Column("listener_id", string(36), nullable=False),
        sa.Column("amphora_id", string(36), nullable=False),
        sa.Column("loadbalancer_id", string(36), nullable=False),
        sa.Column("active_connections", sa.BigInteger(), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("request_errors", sa.BigInteger(), nullable=False),
        sa.Column("total_connections", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("listener_id", "amphora_id", name="pk_statistics"),
    )
    op.create_index("ix_statistics_amphora_id", "statistics", ["amphora_id"], unique=False)
    op.create_index("ix_statistics_loadbalancer_id", "statistics", ["loadbalancer_id"], unique=False)


def _tag() -> None:
    op.create_table(
        "tag",
        sa.Column("resource_id", string(36), nullable=False),
        sa.Column("tag", string(255), nullable=False),
        sa.Column("loadbalancer_id", string(36), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "tag", name="pk_tag"),
    )
    op.create_index("ix_tag_loadbalancer_id", "tag", ["loadbalancer_id"], unique=False)
    op.create_index("ix_tag_tag_resource_id", "tag", ["tag", "resource_id"], unique=False)


def _work() -> None:
    op.create_table(
        "work",
        sa.Column("loadbalancer_id", string(36), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=True),
        sa.Column("lease_owner", string(255), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.Double(), nullable=True),
        sa.Column("error", text(), nullable=True),
        sa.PrimaryKeyConstraint("loadbalancer_id", name="pk_work"),
    )
    op.create_index("ix_work_lease_until_due_at", "work", ["lease_until", "due_at"], unique=False)


def _listener() -> None:
    op.create_table(
        "listener",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("name", string(255), nullable=False),
        sa.Column("description", string(255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("protocol", string(64), nullable=False),
        sa.Column("protocol_port", sa.BigInteger(), nullable=False),
        sa.Column("connection_limit", sa.BigInteger(), nullable=True),
        sa.Column("default_pool_id", string(64), nullable=True),
        sa.Column("insert_headers", text(), nullable=False),
        sa.Column("timeout_client_data", sa.BigInteger(), nullable=False),
        sa.Column("timeout_member_connect", sa.BigInteger(), nullable=False),
        sa.Column("timeout_member_data", sa.BigInteger(), nullable=False),
        sa.Column("timeout_tcp_inspect", sa.BigInteger(), nullable=False),
        sa.Column("allowed_cidrs", text(), nullable=True),
        sa.ForeignKeyConstraint(["loadbalancer_id"], ["loadbalancer.id"], name="fk_listener_loadbalancer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_listener"),
    )
    op.create_index("ix_listener_created_at_id", "listener", ["created_at", "id"], unique=False)
    op.create_index("ix_listener_default_pool_id", "listener", ["default_pool_id"], unique=False)
    op.create_index(
        "ix_listener_loadbalancer_id_created_at_id", "listener", ["loadbalancer_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_listener_project_id_created_at_id", "listener", ["project_id", "created_at", "id"], unique=False
    )


def _pool() -> None:
    op.create_table(
        "pool",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("name", string(255), nullable=False),
        sa.Column("description", string(255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("protocol", string(64), nullable=False),
        sa.Column("lb_algorithm", string(64), nullable=False),
        sa.Column("session_persistence", text(), nullable=True),
        sa.ForeignKeyConstraint(["loadbalancer_id"], ["loadbalancer.id"], name="fk_pool_loadbalancer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pool"),
    )
    op.create_index("ix_pool_created_at_id", "pool", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_pool_loadbalancer_id_created_at_id", "pool", ["loadbalancer_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_pool_project_id_created_at_id", "pool", ["project_id", "created_at", "id"], unique=False)


def _healthmonitor() -> None:
    op.create_table(
        "healthmonitor",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("pool_id", string(64), nullable=False),
        sa.Column("name", string(255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("type", string(64), nullable=False),
        sa.Column("delay", sa.BigInteger(), nullable=False),
        sa.Column("timeout", sa.BigInteger(), nullable=False),
        sa.Column("max_retries", sa.BigInteger(), nullable=False),
        sa.Column("max_retries_down", sa.BigInteger(), nullable=False),
        sa.Column("http_method", string(64), nullable=True),
        sa.Column("url_path", string(2048), nullable=True),
        sa.Column("expected_codes", string(64), nullable=True),
        sa.Column("http_version", sa.Double(), nullable=True),
        sa.Column("domain_name", string(255), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_healthmonitor_pool_id"),
        sa.PrimaryKeyConstraint("id", name="pk_healthmonitor"),
    )
    op.create_index("ix_healthmonitor_created_at_id", "healthmonitor", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_healthmonitor_loadbalancer_id_created_at_id",
        "healthmonitor",
        ["loadbalancer_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_healthmonitor_pool_id_created_at_id", "healthmonitor", ["pool_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_healthmonitor_project_id_created_at_id", "healthmonitor", ["project_id", "created_at", "id"], unique=False
    )


def _l7policy() -> None:
    op.create_table(
        "l7policy",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("listener_id", string(64), nullable=False),
        sa.Column("name", string(255), nullable=False),
        sa.Column("description", string(255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("action", string(64), nullable=False),
        sa.Column("redirect_pool_id", string(64), nullable=True),
        sa.Column("redirect_url", string(255), nullable=True),
        sa.Column("redirect_prefix", string(255), nullable=True),
        sa.Column("redirect_http_code", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name="fk_l7policy_listener_id"),
        sa.PrimaryKeyConstraint("id", name="pk_l7policy"),
    )
    op.create_index("ix_l7policy_created_at_id", "l7policy", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_l7policy_listener_id_created_at_id", "l7policy", ["listener_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_l7policy_loadbalancer_id_created_at_id", "l7policy", ["loadbalancer_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_l7policy_project_id_created_at_id", "l7policy", ["project_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_l7policy_redirect_pool_id", "l7policy", ["redirect_pool_id"], unique=False)


def _member() -> None:
    op.create_table(
        "member",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("pool_id", string(64), nullable=False),
        sa.Column("name", string(255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("address", string(64), nullable=False),
        sa.Column("protocol_port", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("subnet_id", string(64), nullable=True),
        sa.Column("monitor_address", string(64), nullable=True),
        sa.Column("monitor_port", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_member_pool_id"),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
    )
    op.create_index("ix_member_created_at_id", "member", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_member_loadbalancer_id_created_at_id", "member", ["loadbalancer_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_member_pool_id_created_at_id", "member", ["pool_id", "created_at", "id"], unique=False)
    op.create_index("ix_member_project_id_created_at_id", "member", ["project_id", "created_at", "id"], unique=False)


def _rule() -> None:
    op.create_table(
        "rule",
        sa.Column("id", string(64), nullable=False),
        sa.Column("project_id", string(64), nullable=False),
        sa.Column("provisioning_status", string(64), nullable=False),
        sa.Column("operating_status", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("updated_at", string(64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("fault", text(), nullable=True),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("l7policy_id", string(64), nullable=False),
        sa.Column("type", string(64), nullable=False),
        sa.Column("compare_type", string(64), nullable=False),
        sa.Column("key", string(255), nullable=True),
        sa.Column("value", string(255), nullable=False),
        sa.Column("invert", sa.Boolean(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["l7policy_id"], ["l7policy.id"], name="fk_rule_l7policy_id"),
        sa.PrimaryKeyConstraint("id", name="pk_rule"),
    )
    op.create_index("ix_rule_created_at_id", "rule", ["created_at", "id"], unique=False)
    op.create_index("ix_rule_l7policy_id_created_at_id", "rule", ["l7policy_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_rule_loadbalancer_id_created_at_id", "rule", ["loadbalancer_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_rule_project_id_created_at_id", "rule", ["project_id", "created_at", "id"], unique=False)
