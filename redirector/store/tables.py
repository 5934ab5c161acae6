"""The tables, as this version knows them. The migrations make them; a test holds that both agree.

Times are seconds since 1970, so that every engine and every reader means the same by them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

BIG_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only what is called INTEGER, and that has 64 bits there."""

nodes = Table(
    "nodes",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("url", Text, nullable=False, unique=True),
    Column("control_url", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("intent", String(16), nullable=False),
    Column("intent_reason", Text, nullable=False),
    Column("intent_by", Text, nullable=False),
    Column("intent_since", Double, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("added_at", Double, nullable=False),
    Column("end_sessions_at", Double, nullable=False, server_default="0", comment="0: never"),
)

documents = Table(
    "documents",
    metadata,
    Column("name", String(32), primary_key=True, comment="registry (only its version counts) or board"),
    Column("version", BigInteger, nullable=False),
    Column("published_at", Double, nullable=False),
    Column("holder", Text, nullable=False),
    Column("document", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(96), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", Double, nullable=False, comment="by the database's clock"),
)

events = Table(
    "events",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("node", String(63), nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,  # an id is never used again, so that "since this id" misses nothing
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

minutes = Table(
    "minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False, comment="since 1970, by the database's clock"),
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="What the counters grew by in each of the last minutes",
)

rolls = Table(
    "rolls",
    metadata,
    Column("node", String(63), primary_key=True),
    Column("pool", String(63), primary_key=True),
    Column("image_before", Text, nullable=False),
    Column("image", Text, nullable=False, server_default="", comment="what the fleet wants it to be; empty: unknown"),
    Column("moved_at", Double, nullable=False, server_default="0", comment="since 1970, by the mover's clock"),
    Column("capacity", BigInteger, comment="what the fleet wants it to be; null: the node's own business"),
    comment="What the fleet ordered of a pool, and its image before the last move: the way back",
)

passive_checks = Table(
    "passive_checks",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("node", String(63), nullable=False),
    Column("passed", Integer, nullable=False, comment="1: a claim of a suspect worked; 0: a claim failed"),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
    comment="What visitors' claims met, on its way from the workers to the one that polls",
)

tickets = Table(
    "tickets",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True, comment="in the order of arrival"),
    Column("ticket", String(128), nullable=False, unique=True),
    Column("pool", Text, nullable=False),
    Column("live_until", Double, nullable=False),
    Column("held_until", Double, nullable=False, comment="does not count before: over a client's limit"),
    Column("claiming_until", Double, nullable=False),
    Column("refused_at", Double, nullable=False),
    Column("let_in_at", Double, nullable=False, comment="0: still waits"),
    Column("node", String(63), nullable=False, comment="where it got its sandbox"),
    Column("joined_at", Double, nullable=False, server_default="0", comment="0: unknown"),
    Column("client", String(40), nullable=False, server_default="", comment="holds the place; empty: without limits"),
    sqlite_autoincrement=True,
    comment="All times are by the database's clock",
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("source", Text, nullable=False),
    Column("pool", String(63), nullable=False),
    Column("page", Text, nullable=False),
    Column("whole_pool", Boolean, nullable=False),
    Column("added_at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("digest", String(64), nullable=False, comment="empty until the first fetch"),
    Column("commit", Text, nullable=False),
    Column("size", BigInteger, nullable=False, comment="of the blob, in bytes"),
    Column("files", BigInteger, nullable=False),
    Column("fetched_at", Double, nullable=False, comment="0: never"),
    Column("checked_at", Double, nullable=False, comment="0: never"),
    Column("wanted_at", Double, nullable=False, comment="0: no fetch is due but the regular one"),
    Column("problem", Text, nullable=False),
    Column("problem_since", Double, nullable=False),
    Column("needs", Text, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("token", Text, nullable=False),
    Column("webhook_secret", Text, nullable=False),
    comment="Times that the store writes are by the database's clock",
)

content_patterns = Table(
    "content_patterns",
    metadata,
    Column("pattern", Text, primary_key=True),
    Column("pool", String(63), nullable=False),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="What links may ask for beside the named contents",
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    comment="What the object store holds",
)

node_blobs = Table(
    "node_blobs",
    metadata,
    Column("node", String(63), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("state", String(8), nullable=False, comment="wanted, there or failed"),
    Column("asked_at", Double, nullable=False, comment="when somebody last wanted it there; 0: nobody did"),
    Column("at", Double, nullable=False, comment="when the state was last written"),
    Column("problem", Text, nullable=False),
    comment="Which node holds which blob, as the worker last learnt",
)

marks = Table(
    "marks",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
    comment="Random marks by which stores that belong together know each other",
)

Index("events_at", events.c.at)
Index("tickets_let_in_at", tickets.c.let_in_at)
