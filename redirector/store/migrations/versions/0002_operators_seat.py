"""The operator's seat: counters by the minute, the hour at which a drain ends sessions, images before a roll."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "minutes",
        sa.Column(
            "minute",
            sa.BigInteger,
            primary_key=True,
            autoincrement=False,
            comment="since 1970, by the database's clock",
        ),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
        comment="What the counters grew by in each of the last minutes",
    )
    op.create_table(
        "rolls",
        sa.Column("node", sa.String(63), primary_key=True),
        sa.Column("pool", sa.String(63), primary_key=True),
        sa.Column("image_before", sa.Text, nullable=False),
        comment="Where a pool came from when it was last moved to another image: the way back",
    )
    op.add_column(
        "nodes", sa.Column("end_sessions_at", sa.Double, nullable=False, server_default="0", comment="0: never")
    )
