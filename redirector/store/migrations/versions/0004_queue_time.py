"""When each ticket of the waiting room was drawn, to tell how long people wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "tickets", sa.Column("joined_at", sa.Double, nullable=False, server_default="0", comment="0: unknown")
    )
