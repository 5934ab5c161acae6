"""What operators do with contents: name them, look at them, have them fetched again, and say what links may ask for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redirector.errors import BadRequestError
from redirector.memory.fleet_state import FleetState
from redirector.model.content import (
    CONTENT_NAME,
    Content,
    ContentPattern,
    NodeBlob,
    UnknownContentError,
)
from redirector.model.content_alarms import WorkerReport
from redirector.model.content_links import path_inside
from redirector.model.events import Event
from redirector.model.sources import parse_pattern, parse_source
from redirector.operations.node_rules import OperatorDecision
from redirector.store.blob_rows import BlobRows
from redirector.store.content_patterns import ContentPatterns
from redirector.store.contents import Contents
from redirector.store.worker_reports import WorkerReports
from tmpnb_common.paths import path_problem

SECRET_BYTES = 24


class UnknownPatternError(BadRequestError):
    """Links may not ask for that already."""

    code = "unknown_pattern"


@dataclass(frozen=True, slots=True)
class ContentAddition:
    """A content as an operator names it."""

    name: str
    source: str
    pool: str
    page: str = ""
    whole_pool: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class ContentState:
    """A content, and what is known of its blob on every node."""

    content: Content
    nodes: Mapping[str, NodeBlob]


class ContentControl:
    """Safe to use from several threads."""

    def __init__(
        self,
        *,
        contents: Contents,
        patterns: ContentPatterns,
        rows: BlobRows,
        reports: WorkerReports,
        fleet_state: FleetState,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        """`changed` has this process read what was written."""
        self._contents = contents
        self._patterns = patterns
        self._rows = rows
        self._reports = reports
        self._fleet_state = fleet_state
        self._clock = clock
        self._changed = changed

    def all(self) -> list[ContentState]:
        """Every content, those that links asked for by their sources last."""
        holders = self._rows.holders()
        contents = sorted(self._contents.all().values(), key=lambda content: (not content.named, content.name))
        return [ContentState(content, holders.get(content.digest, {})) for content in contents]

    def one(self, name: str) -> ContentState:
        """One content.

        Raises:
            UnknownContentError: there is none of that name.
        """
        content = self._contents.all().get(name)
        if content is None:
            raise UnknownContentError(name)
        return ContentState(content, self._rows.holders().get(content.digest, {}))

    def patterns(self) -> Sequence[ContentPattern]:
        """What links may ask for beside the named contents."""
        return self._patterns.all()

    def workers(self) -> list[WorkerReport]:
        """What the hosts' workers say of themselves."""
        return self._reports.all()

    def add(self, wanted: ContentAddition, decision: OperatorDecision) -> Content:
        """Name a content; its first fetch begins at once. The answer alone tells the secret of its webhook.

        Raises:
            BadRequestError: a part of it makes no sense; says which.
            DuplicateContentError: the name is taken.
            PoolHasContentError: it is for all sandboxes of a pool that has such a content.
        """
        if not CONTENT_NAME.fullmatch(wanted.name):
            raise BadRequestError("name has to be of 1 to 63 lower-case letters, digits and -, such as spring")
        source = parse_source(wanted.source)
        if wanted.token and (source.kind == "directory" or not source.url.startswith("https://")):
            raise BadRequestError("token is only sent over https: this source cannot have one")
        if any(not "!" <= sign <= "~" for sign in wanted.token):
            raise BadRequestError("token has a character that no token has, such as a space or a line's end")
        self._check_pool(wanted.pool)
        content = Content(
            wanted.name,
            source.text,
            wanted.pool,
            wanted.page.strip("/"),
            wanted.whole_pool,
            added_at=self._clock(),
            by=decision.by,
            reason=decision.reason,
            token=wanted.token,
            webhook_secret=secrets.token_urlsafe(SECRET_BYTES),
        )
        inner = path_inside(content, "")
        if inner and path_problem(inner):
            raise BadRequestError(f"open has to be the path of a file in the content: {path_problem(inner)}")
        self._contents.add(content, self._event("content_added", f"{content.name}: {source.text}", decision))
        self._changed()
        return content

    def refresh(self, name: str, decision: OperatorDecision | None = None) -> None:
        """Have a content fetched now; without a decision it is its forge that asks.

        Raises:
            UnknownContentError: there is none of that name.
        """
        event = self._event("content_refresh", name, decision) if decision is not None else None
        self._contents.want_refresh(name, event)

    def remove(self, name: str, decision: OperatorDecision) -> None:
        """Forget a content. Sandboxes that have it keep it.

        Raises:
            UnknownContentError: there is none of that name.
        """
        self._contents.remove(name, self._event("content_removed", name, decision))
        self._changed()

    def allow(self, pattern: str, pool: str, decision: OperatorDecision) -> tuple[ContentPattern, bool]:
        """Let links ask for what a pattern matches; whether that is new.

        Raises:
            BadRequestError: it is no pattern, or the pool is none.
        """
        self._check_pool(pool)
        allowed = ContentPattern(parse_pattern(pattern), pool, self._clock(), decision.by, decision.reason)
        changed = self._patterns.allow(
            allowed, self._event("content_allowed", f"{allowed.pattern} in {pool}", decision)
        )
        self._changed()
        return allowed, changed

    def deny(self, pattern: str, decision: OperatorDecision) -> str:
        """Let links ask for it no longer. What they asked for before is served on until nobody asks for a week.

        Raises:
            BadRequestError: it is no pattern.
            UnknownPatternError: it was not allowed.
        """
        canonical = parse_pattern(pattern)
        if not self._patterns.deny(canonical, self._event("content_denied", canonical, decision)):
            raise UnknownPatternError(f"links are not allowed to ask for {canonical!r:.200} as it is")
        self._changed()
        return canonical

    def is_from_forge(self, name: str, body: bytes, signature: str, secret: str) -> bool:
        """Whether a call comes from whoever has a content's webhook secret.

        Args:
            name: the content's.
            body: what came with the call.
            signature: GitHub's `X-Hub-Signature-256`, an HMAC of the body.
            secret: GitLab's `X-Gitlab-Token`, or a bearer token: the secret itself.
        """
        content = self._fleet_state.contents.get(name) or self._contents.all().get(name)
        if content is None or not content.webhook_secret:
            return False
        key = content.webhook_secret.encode()
        signed = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
        # Both, so that the time taken tells nothing about which one was given.
        matches = [
            hmac.compare_digest(signed.encode(), signature.encode(errors="replace")),
            hmac.compare_digest(key, secret.encode(errors="replace")),
        ]
        return any(matches)

    def _check_pool(self, pool: str) -> None:
        """See that some node has a pool, where any node is known at all."""
        known = {name for seen in self._fleet_state.board.seen.values() if seen.stats for name in seen.stats.pools}
        if known and pool not in known:
            raise BadRequestError(f"no node has a pool {pool!r:.80}; there are {', '.join(sorted(known))[:300]}")

    def _event(self, kind: str, words: str, decision: OperatorDecision | None) -> Event:
        by, reason = (decision.by, decision.reason) if decision is not None else ("", "")
        return Event(self._clock(), kind, by=by, reason=f"{words}; {reason}" if reason else words)
