# SPDX-License-Identifier: Apache-2.0
"""The newest write of each load balancer has a name, by which an attempt finds that it was carried out."""

import sqlalchemy as sa
from alembic import op

from ottava.store.columns import string

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From version 0002."""
    op.add_column("work", sa.Column("last_write", string(36), nullable=True))
