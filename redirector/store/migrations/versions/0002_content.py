"""Content: what operators name, what was fetched of it, and which node holds which blob; leases with longer names."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("leases") as leases:
        leases.alter_column("name", existing_type=sa.String(32), type_=sa.String(96), existing_nullable=False)
    op.create_table(
        "contents",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("pool", sa.String(63), nullable=False),
        sa.Column("page", sa.Text, nullable=False),
        sa.Column("whole_pool", sa.Boolean, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="empty until the first fetch"),
        sa.Column("commit", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False, comment="of the blob, in bytes"),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("fetched_at", sa.Double, nullable=False, comment="0: never"),
        sa.Column("checked_at", sa.Double, nullable=False, comment="0: never"),
        sa.Column("wanted_at", sa.Double, nullable=False, comment="0: no fetch is due but the regular one"),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("problem_since", sa.Double, nullable=False),
        sa.Column("needs", sa.Text, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("webhook_secret", sa.Text, nullable=False),
        comment="Times that the store writes are by the database's clock",
    )
    op.create_table(
        "content_patterns",
        sa.Column("pattern", sa.Text, primary_key=True),
        sa.Column("pool", sa.String(63), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        comment="What links may ask for beside the named contents",
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        comment="What the object store holds",
    )
    op.create_table(
        "node_blobs",
        sa.Column("node", sa.String(63), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False, comment="wanted, there or failed"),
        sa.Column("asked_at", sa.Double, nullable=False, comment="when somebody last wanted it there; 0: nobody did"),
        sa.Column("at", sa.Double, nullable=False, comment="when the state was last written"),
        sa.Column("problem", sa.Text, nullable=False),
        comment="Which node holds which blob, as the worker last learnt",
    )
    marks = op.create_table(
        "marks",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        comment="Random marks by which stores that belong together know each other",
    )
    documents = sa.table(
        "documents",
        sa.column("name", sa.String),
        sa.column("version", sa.BigInteger),
        sa.column("published_at", sa.Double),
        sa.column("holder", sa.Text),
        sa.column("document", sa.Text),
    )
    empty = {"version": 0, "published_at": 0.0, "holder": "", "document": "{}"}
    op.bulk_insert(documents, [{"name": "contents", **empty}])
    op.bulk_insert(marks, [{"name": "blobs", "value": secrets.token_hex(16)}])
