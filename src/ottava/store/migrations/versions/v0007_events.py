# SPDX-License-Identifier: Apache-2.0
"""Events of load balancers."""

import sqlalchemy as sa
from alembic import op

from ottava.store.columns import string, text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """From version 0006."""
    op.create_table(
        "event",
        sa.Column("id", string(64), nullable=False),
        sa.Column("loadbalancer_id", string(64), nullable=False),
        sa.Column("created_at", string(64), nullable=False),
        sa.Column("what", string(64), nullable=False),
        sa.Column("resource_type", string(64), nullable=False),
        sa.Column("resource_id", string(64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("user_id", string(255), nullable=True),
        sa.Column("request_id", string(255), nullable=True),
        sa.Column("message", text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_index("ix_event_loadbalancer_id_id", "event", ["loadbalancer_id", "id"], unique=False)
