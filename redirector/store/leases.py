"""Leases: who of all processes on all hosts polls the nodes, fetches a content, fills a node."""

from __future__ import annotations

from sqlalchemy import or_, select, update

from redirector.store import tables
from redirector.store.database import Database

POLLER = "poller"


def content_lease(name: str) -> str:
    """The lease of whoever fetches a content."""
    return f"content:{name}"


def node_lease(name: str) -> str:
    """The lease of whoever pushes blobs to a node."""
    return f"node:{name}"


LEASE_SECONDS = 3.0
"""Three missed renewals: a holder that died is followed by another within this and a second."""


class Leases:
    """Takes, renews and gives back. Expiry goes by the database's clock, so that hosts need not agree on the time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hold(self, holder: str, name: str = POLLER) -> bool:
        """Take the lease if it is free, renew it if it is ours; whether we hold it now.

        Invariant: at most one holder at any moment of the database's clock.
        """
        leases, clock = tables.leases, self._database.clock
        # One that expires later than any can was taken before the clock was set back.
        expired = or_(leases.c.expires_at < clock, leases.c.expires_at > clock + LEASE_SECONDS)
        mine_or_free = or_(leases.c.holder == holder, expired)
        with self._database.reading() as connection:
            # Most workers wait: they need not queue for the write lock every second to hear no.
            free = connection.execute(select(mine_or_free).where(leases.c.name == name)).scalar_one_or_none()
        if free is not None and not free:
            return False
        with self._database.writing() as connection:
            if free is None:
                new = self._database.insert(leases).values(name=name, holder="", expires_at=0.0)
                connection.execute(new.on_conflict_do_nothing())
            taken = connection.execute(
                update(leases)
                .where(leases.c.name == name, mine_or_free)
                .values(holder=holder, expires_at=clock + LEASE_SECONDS)
            )
            return taken.rowcount == 1

    def release(self, holder: str, name: str = POLLER) -> None:
        """Give the lease back, if it is still ours, so that the next one need not wait for it to expire."""
        leases = tables.leases
        with self._database.writing() as connection:
            connection.execute(
                update(leases).where(leases.c.name == name, leases.c.holder == holder).values(holder="", expires_at=0.0)
            )
