"""What the admin API says of contents: objects that the server writes and the client reads. No token is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Self

from msgspec import Meta

from redirector.model.content import Content, ContentPattern, NodeBlob
from redirector.model.content_alarms import WorkerReport
from redirector.model.content_links import link_to

BlobState = Annotated[str, Meta(extra_json_schema={"enum": ["wanted", "there", "failed"]})]


@dataclass(frozen=True, slots=True)
class HolderView:
    """What is known of a content's blob on one node. `at` is in seconds since 1970."""

    state: BlobState
    at: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ContentView:
    """One content. Times are seconds since 1970, 0 for never; sizes are bytes."""

    name: str
    source: str
    pool: str
    url: str
    """The link that opens it."""
    open: str = ""
    """The file that the link opens; empty: where the pool lands."""
    whole_pool: bool = False
    named: bool = True
    """Whether an operator named it; else a link asked for its source."""
    private: bool = False
    """Whether a token is needed to fetch it."""
    added_at: float = 0.0
    by: str = ""
    reason: str = ""
    digest: str = ""
    commit: str = ""
    size: int = 0
    files: int = 0
    fetched_at: float = 0.0
    checked_at: float = 0.0
    wanted: bool = False
    """Whether a fetch was asked for that has not been made."""
    problem: str = ""
    problem_since: float = 0.0
    needs: str = ""
    """What it asks of its environment, in one line."""
    nodes: Mapping[str, HolderView] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Content, nodes: Mapping[str, NodeBlob], entry_url: str) -> Self:
        """The view of a row."""
        return cls(
            content.name,
            content.source,
            content.pool,
            link_to(entry_url, content.name if content.named else content.source),
            content.page,
            content.whole_pool,
            content.named,
            bool(content.token),
            content.added_at,
            content.by,
            content.reason,
            content.digest,
            content.commit,
            content.size,
            content.files,
            content.fetched_at,
            content.checked_at,
            content.wanted_at > 0,
            content.problem,
            content.problem_since,
            content.needs,
            {name: HolderView(row.state, row.at, row.problem) for name, row in nodes.items()},
        )


@dataclass(frozen=True, slots=True)
class PatternView:
    """What links may ask for, and in which pool."""

    pattern: str
    pool: str
    at: float = 0.0
    by: str = ""
    reason: str = ""

    @classmethod
    def of(cls, pattern: ContentPattern) -> Self:
        """The view of a row."""
        return cls(pattern.pattern, pattern.pool, pattern.at, pattern.by, pattern.reason)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One host's worker: when it last lived, and what keeps it from working."""

    host: str
    at: float
    problem: str = ""

    @classmethod
    def of(cls, report: WorkerReport) -> Self:
        """The view of a row."""
        return cls(report.host, report.at, report.problem)


@dataclass(frozen=True, slots=True)
class ContentsView:
    """Every content, what links may ask for beside them, and the workers that fetch them."""

    contents: Sequence[ContentView]
    patterns: Sequence[PatternView]
    workers: Sequence[WorkerView]


@dataclass(frozen=True, slots=True)
class AddedContentView:
    """A content that was added, with the secret of its webhook, which is told here and nowhere else."""

    content: ContentView
    webhook_secret: str


@dataclass(frozen=True, slots=True)
class ContentNameView:
    """The name of the content that was changed."""

    name: str


@dataclass(frozen=True, slots=True)
class PatternChangeView:
    """A pattern, and whether the call changed anything."""

    changed: bool
    pattern: str
