# SPDX-License-Identifier: Apache-2.0
"""Whether the flavor of a load balancer lets members have SR-IOV ports."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; the default is for rows that are there already."""
    column: sa.Column[bool] = sa.Column("allow_member_sriov", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("loadbalancer", column)
