"""What the fleet wants a pool's image to be, so that a node that comes back with another one is seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "rolls",
        sa.Column(
            "image", sa.Text, nullable=False, server_default="", comment="what the fleet wants it to be; empty: unknown"
        ),
    )
    op.add_column(
        "rolls",
        sa.Column(
            "moved_at", sa.Double, nullable=False, server_default="0", comment="since 1970, by the mover's clock"
        ),
    )
