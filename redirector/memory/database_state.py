"""Whether the database can be used: the one flag, set by the one loop that talks to it all the time."""

from __future__ import annotations


class DatabaseState:
    """Read by every visitor without waiting. Only the sync loop changes it."""

    def __init__(self) -> None:
        self.problem = "the database has not been read yet"
        """Why the database cannot be used; empty while it can."""

    @property
    def away(self) -> bool:
        """Whether it cannot be used, so that there is no order to be kept among those who wait."""
        return bool(self.problem)
