"""What is taught: content by name, where it comes from, what was fetched, and what links may ask for. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from redirector.errors import FleetError
from redirector.model.sources import Source
from tmpnb_common.wire import DEFAULT_POOL

CONTENT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

UNNAMED = "~"
"""What the names begin with of contents that a link asked for by its source. No operator's name does."""

MOST_UNNAMED = 1000
"""Visitors choose them within what is allowed; every worker keeps all rows in memory, at about 2 kB each."""


@dataclass(frozen=True, slots=True)
class Content:
    """One row: what an operator wants, and what the worker made of it. Times are seconds since 1970."""

    name: str
    source: str
    """In its canonical form (`Source.text`)."""
    pool: str = DEFAULT_POOL
    page: str = ""
    """The file to open, relative to the home; empty: the pool's own landing page."""
    whole_pool: bool = False
    """Whether it is in the home of every sandbox of the pool before anybody comes."""
    added_at: float = 0.0
    by: str = ""
    reason: str = ""
    digest: str = ""
    """SHA-256 of the blob, in hex; empty until the first fetch."""
    commit: str = ""
    size: int = 0
    """Of the blob, in bytes."""
    files: int = 0
    fetched_at: float = 0.0
    """When the source was last read with success; 0: never."""
    checked_at: float = 0.0
    """When the last try ended; 0: there was none."""
    wanted_at: float = 0.0
    """When a fetch was asked for that has not been made; 0: none is due but for the regular check."""
    problem: str = ""
    """Why the last try failed; empty: it did not."""
    problem_since: float = 0.0
    needs: str = ""
    """What the content asks of its environment (requirements.txt and the like), in one line for people."""
    used_at: float = 0.0
    """When a link last asked for it, to the hour; kept for unnamed ones."""
    token: str = field(default="", repr=False)
    """Lets the worker read a private source; sent to the source's host only."""
    webhook_secret: str = field(default="", repr=False)

    @property
    def named(self) -> bool:
        """Whether an operator named it; else a link asked for its source."""
        return not self.name.startswith(UNNAMED)


@dataclass(frozen=True, slots=True)
class ContentPattern:
    """What links may ask for beside the named contents, and in which pool."""

    pattern: str
    pool: str = DEFAULT_POOL
    at: float = 0.0
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FetchedBlob:
    """What a fetch brought."""

    digest: str
    commit: str = ""
    size: int = 0
    """In bytes."""
    files: int = 0
    needs: str = ""


@dataclass(frozen=True, slots=True)
class BlobRow:
    """A blob that the object store holds."""

    digest: str
    bytes: int
    made_at: float
    used_at: float


@dataclass(frozen=True, slots=True)
class NodeBlob:
    """What is known of a blob on a node."""

    node: str
    digest: str
    state: Literal["wanted", "there", "failed"]
    asked_at: float = 0.0
    """When somebody last wanted it there; 0: nobody did."""
    at: float = 0.0
    """When the state was last written."""
    problem: str = ""
    """Why the last push failed."""


def unnamed(source: Source, pool: str) -> str:
    """The name of the content that a link asks for by its source."""
    return UNNAMED + hashlib.sha256(f"{source.text} {pool}".encode()).hexdigest()[:20]


class UnknownContentError(FleetError):
    """There is no content of that name."""

    code = "unknown_content"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no content {name!r:.80}")
        self.name = name


class DuplicateContentError(FleetError):
    """Another content has that name."""

    code = "duplicate_content"

    def __init__(self, name: str, source: str, by: str) -> None:
        who = f" (added by {by})" if by else ""
        super().__init__(f"the name {name!r} is taken: it is {source}{who}; remove it first, or choose another name")
        self.source = source

    def fields(self) -> dict[str, Any]:
        """What it is already."""
        return {"source": self.source}


class PoolHasContentError(FleetError):
    """The pool has a content in all its sandboxes already, and a home holds one."""

    code = "pool_has_content"

    def __init__(self, pool: str, name: str) -> None:
        super().__init__(
            f"the sandboxes of pool {pool!r} hold {name!r} already, and a pool has one such content: remove {name!r}, "
            "or add this one without --whole-pool, which puts it into the sandboxes of those who follow its link"
        )
        self.name = name

    def fields(self) -> dict[str, Any]:
        """Which content the pool has."""
        return {"name": self.name}


class ContentNotAllowedError(FleetError):
    """A link asked for a source that no operator named or allowed."""

    code = "content_not_allowed"

    def __init__(self, source: str) -> None:
        super().__init__(f"links to {source:.200} are not allowed here: ask whoever runs this service to add it")


class TooManyContentsError(FleetError):
    """Links have asked for so many sources that no more are kept now."""

    code = "too_many_contents"

    def __init__(self) -> None:
        super().__init__(f"{MOST_UNNAMED} other sources were asked for in the last days: try one that is known here")
