"""Whom each place of the waiting room counts for, so that nobody can hold all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "tickets",
        sa.Column(
            "client", sa.String(40), nullable=False, server_default="", comment="holds the place; empty: without limits"
        ),
    )
