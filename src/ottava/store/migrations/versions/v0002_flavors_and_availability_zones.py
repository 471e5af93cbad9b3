# SPDX-License-Identifier: Apache-2.0
"""Flavors and availability zones with their profiles; where the agents of hosts answer; amphorae in order."""

import sqlalchemy as sa
from alembic import op

from ottava.store.columns import string

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From version 0001."""
    _profiles("flavorprofile", "flavor_data")
    _profiles("availability_zone_profile", "availability_zone_data")
    _offers("flavor", sa.Column("id", string(64), nullable=False), "flavor_profile_id", "flavorprofile")
    op.create_index("ix_flavor_name", "flavor", ["name"], unique=True)
    _offers("availability_zone", None, "availability_zone_profile_id", "availability_zone_profile")
    op.add_column("loadbalancer", sa.Column("flavor_id", string(64), nullable=True))
    op.add_column("loadbalancer", sa.Column("availability_zone", string(255), nullable=True))
    op.add_column("host", sa.Column("address", string(64), nullable=True))
    op.create_index("ix_amphora_created_at_id", "amphora", ["created_at", "id"], unique=False)


def _profiles(table: str, data: str) -> None:
    op.create_table(
        table,
        sa.Column("id", string(64), nullable=False),
        sa.Column("name", string(255), nullable=True),
        sa.Column("provider_name", string(255), nullable=False),
        sa.Column(data, string(4096), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _offers(table: str, id: sa.Column[str] | None, profile_id: str, profiles: str) -> None:
    """Those without an id are known by their names."""
    op.create_table(
        table,
        *([] if id is None else [id]),
        sa.Column("name", string(255), nullable=False),
        sa.Column("description", string(255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column(profile_id, string(64), nullable=False),
        sa.ForeignKeyConstraint([profile_id], [f"{profiles}.id"], name=f"fk_{table}_{profile_id}"),
        sa.PrimaryKeyConstraint("name" if id is None else "id", name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_{profile_id}", table, [profile_id], unique=False)
