"""The first release: registry with intent, documents (board), leases, events, counters, sightings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("url", sa.Text, nullable=False, unique=True),
        sa.Column("control_url", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("node_id", sa.Text, nullable=False),
        sa.Column("intent", sa.String(16), nullable=False),
        sa.Column("intent_reason", sa.Text, nullable=False),
        sa.Column("intent_by", sa.Text, nullable=False),
        sa.Column("intent_since", sa.Double, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
    )
    documents = op.create_table(
        "documents",
        sa.Column("name", sa.String(32), primary_key=True, comment="registry (only its version counts) or board"),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.Double, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    leases = op.create_table(
        "leases",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, comment="by the database's clock"),
    )
    op.create_table(
        "events",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("node", sa.String(63), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_at", "events", ["at"])
    op.create_table(
        "counters",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sightings",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("node", sa.String(63), nullable=False),
        sa.Column("proved", sa.Integer, nullable=False, comment="1: a claim of a suspect worked; 0: a claim failed"),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_autoincrement=True,
        comment="What visitors' claims met, on its way from the workers to the one that polls",
    )
    empty = {"version": 0, "published_at": 0.0, "holder": "", "document": "{}"}
    op.bulk_insert(documents, [{"name": "registry", **empty}, {"name": "board", **empty}])
    op.bulk_insert(leases, [{"name": "poller", "holder": "", "expires_at": 0.0}])
