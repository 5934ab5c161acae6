"""The waiting room: tickets. And a key to sign visitors' cookies with, for fleets whose operator sets none."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "tickets",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True, comment="in the order of arrival"),
        sa.Column("ticket", sa.String(128), nullable=False, unique=True),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("live_until", sa.Double, nullable=False),
        sa.Column("held_until", sa.Double, nullable=False, comment="does not count before: over a client's limit"),
        sa.Column("claiming_until", sa.Double, nullable=False),
        sa.Column("refused_at", sa.Double, nullable=False),
        sa.Column("let_in_at", sa.Double, nullable=False, comment="0: still waits"),
        sa.Column("node", sa.String(63), nullable=False, comment="where it got its sandbox"),
        sqlite_autoincrement=True,
        comment="All times are by the database's clock",
    )
    op.create_index("tickets_let_in_at", "tickets", ["let_in_at"])
    keys = op.create_table(
        "signing_keys",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.bulk_insert(keys, [{"name": "visitors", "value": secrets.token_urlsafe(32)}])
