# SPDX-License-Identifier: Apache-2.0
"""Load balancers are found by name without looking at all of them."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From version 0005."""
    op.create_index("ix_loadbalancer_name_created_at_id", "loadbalancer", ["name", "created_at", "id"], unique=False)
