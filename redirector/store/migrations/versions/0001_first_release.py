"""The first release: the registry, the board, the journal, the waiting room, and a key that signs visitors' cookies."""

from __future__ import annotations

import secrets

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
        sa.Column("end_sessions_at", sa.Double, nullable=False, server_default="0", comment="0: never"),
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
        "passive_checks",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("node", sa.String(63), nullable=False),
        sa.Column("passed", sa.Integer, nullable=False, comment="1: a claim of a suspect worked; 0: a claim failed"),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_autoincrement=True,
        comment="What visitors' claims met, on its way from the workers to the one that polls",
    )
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
        sa.Column(
            "image", sa.Text, nullable=False, server_default="", comment="what the fleet wants it to be; empty: unknown"
        ),
        sa.Column(
            "moved_at", sa.Double, nullable=False, server_default="0", comment="since 1970, by the mover's clock"
        ),
        sa.Column("capacity", sa.BigInteger, comment="what the fleet wants it to be; null: the node's own business"),
        comment="What the fleet ordered of a pool, and its image before the last move: the way back",
    )
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
        sa.Column("joined_at", sa.Double, nullable=False, server_default="0", comment="0: unknown"),
        sa.Column(
            "client", sa.String(40), nullable=False, server_default="", comment="holds the place; empty: without limits"
        ),
        sqlite_autoincrement=True,
        comment="All times are by the database's clock",
    )
    op.create_index("tickets_let_in_at", "tickets", ["let_in_at"])
    keys = op.create_table(
        "signing_keys",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    empty = {"version": 0, "published_at": 0.0, "holder": "", "document": "{}"}
    op.bulk_insert(documents, [{"name": "registry", **empty}, {"name": "board", **empty}])
    op.bulk_insert(leases, [{"name": "poller", "holder": "", "expires_at": 0.0}])
    op.bulk_insert(keys, [{"name": "visitors", "value": secrets.token_urlsafe(32)}])
