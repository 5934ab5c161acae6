"""Whether a database that said no will go on saying so: then there is no use in waiting for it."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import SQLAlchemyError

REFUSALS = ("28", "3D", "42")
"""Classes of SQLSTATE: credentials, no such database, no right to do this or a program that does not fit the schema."""

SENTENCES = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "is not permitted to log in",
    "no pg_hba.conf entry",
)
"""What PostgreSQL says to who may not come in; libpq keeps the SQLSTATE of a failed connection to itself. A server that
says it in another language is waited for, with its words in the log."""

BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


def is_refusal(error: SQLAlchemyError) -> bool:
    """Whether only an operator can change the answer."""
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return not getattr(cause, "sqlite_errorname", "").startswith(BUSY)
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return str(state).startswith(REFUSALS)
    return any(sentence in str(cause) for sentence in SENTENCES)
