"""What visitors who follow links have done: a content is looked up, made if it may be, and brought into their home."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from redirector.errors import DatabaseAwayError
from redirector.memory.fleet_state import FleetState
from redirector.model.content import Content, ContentNotAllowedError, UnknownContentError
from redirector.model.content_links import ContentLink, known_content
from redirector.model.nodes import Failure
from redirector.node_client.blobs import Filling
from redirector.node_client.client import AgentClient
from redirector.store.blob_rows import BlobRows
from redirector.store.contents import Contents

log = logging.getLogger("content")

AGAIN_SECONDS = 0.1
"""What is not known is looked for in the database at most this often."""

FILL_SECONDS = 1.0
"""So long a visitor's request waits for their files; then they get a page that waits."""


class ContentLinks:
    """Safe to use from several threads. Named contents are served without the database."""

    def __init__(
        self,
        *,
        fleet_state: FleetState,
        contents: Contents,
        rows: BlobRows,
        client: AgentClient,
        refresh: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refresh` reads what others have written since this process read it last."""
        self._refresh = refresh
        self._monotonic = monotonic
        self._refreshed_at = -math.inf
        self._fleet_state = fleet_state
        self._contents = contents
        self._rows = rows
        self._client = client

    def find(self, link: ContentLink) -> Content:
        """The content that a link asks for; one that an allowed source makes is fetched from now on.

        Raises:
            UnknownContentError: there is no such content.
            ContentNotAllowedError: links may not ask for its source.
            TooManyContentsError: links have asked for too many others.
            DatabaseAwayError: it would have to be made, and cannot be now.
        """
        try:
            content, pool = self._known(link)
        except (UnknownContentError, ContentNotAllowedError):
            # Another process may have been told of it a moment ago.
            if not self._look_again():
                raise
            content, pool = self._known(link)
        if content is None:
            assert link.source is not None, "a link that names a content is answered already"
            return self._contents.want_link(link.source, pool)
        if not content.named:
            try:
                self._contents.touch(content.name)
            except DatabaseAwayError as error:
                log.debug("%s is not noted as used: %s", content.name, error)
        return content

    def _known(self, link: ContentLink) -> tuple[Content | None, str]:
        return known_content(link, self._fleet_state.contents, self._fleet_state.patterns)

    def _look_again(self) -> bool:
        """Read what is new, but not for every address that somebody makes up; whether that was done."""
        now = self._monotonic()
        if now - self._refreshed_at < AGAIN_SECONDS:
            return False
        self._refreshed_at = now
        try:
            self._refresh()
        except DatabaseAwayError as error:
            log.debug("contents are as they were: %s", error)
        return True

    def served_in(self, pool: str) -> bool:
        """Whether any node that has a pool takes contents."""
        boards = self._fleet_state.board.seen.values()
        return any(seen.stats is not None and seen.stats.holds_content and pool in seen.stats.pools for seen in boards)

    def fill(self, node_name: str, sandbox: str, ticket: str, digest: str, seconds: float = FILL_SECONDS) -> Filling:
        """Have a visitor's home filled, and see that the blob comes where their node lacks it."""
        node = self._fleet_state.nodes.get(node_name)
        if node is None:
            return Filling("failed", "its server has left the fleet")
        filling = self._client.fill(node, sandbox, ticket, seconds)
        if isinstance(filling, Failure):
            # It may be a moment's trouble, and the page asks again.
            log.info("node=%s sandbox=%s is not filled: %s", node_name, sandbox, filling.reason)
            return Filling("running", filling.reason)
        if filling.state == "missing":
            try:
                self._rows.want_push(node_name, digest)
            except DatabaseAwayError as error:
                log.warning("node=%s lacks a blob, and nobody can be told: %s", node_name, error)
        return filling
