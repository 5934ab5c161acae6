"""The door of links to contents: what they ask for, pages that wait for files, and what programs are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flask import Response, request

from redirector.model.content import Content
from redirector.model.content_links import parse_link, path_inside
from redirector.model.foreign_links import OwnLink
from redirector.node_client.blobs import Filling
from redirector.operations.content_links import ContentLinks
from redirector.placing.outcomes import AdmissionRequest, Placed
from redirector.web.bodies import answer
from redirector.web.failures import failure, prefers_page
from redirector.web.pages import page
from redirector.web.visitors.answers import PLAIN_SECONDS
from redirector.web.visitors.cookies import Cookies, Filled
from redirector.web.visitors.views import WaitingView
from tmpnb_common.fetch_metadata import is_phone

SOURCE_NAME_LIMIT = 200

FETCHING = "The files are being fetched for the first time, which takes a few seconds."
FILLING = "The files are being put into it. This page goes on by itself."


@dataclass(frozen=True, slots=True)
class ContentVisit:
    """What somebody who follows a link wants."""

    content: Content
    visit: AdmissionRequest
    suffix: str
    """The link's path, to stand behind `/wait/<ticket>`."""


class ContentDoor:
    """Reads links, and answers those who have to wait for files."""

    def __init__(self, links: ContentLinks, cookies: Cookies) -> None:
        self._links = links
        self._cookies = cookies

    def read(self, path: str, page: str = "", *, interval: float) -> ContentVisit:
        """What the path of a link, decoded, asks for.

        Args:
            path: from `PREFIX` on.
            page: the path and query of a page inside the sandbox, without the first slash; empty: the link's own file.
            interval: the visitor cannot ask more often than that, in seconds.

        Raises:
            UnknownContentError: it names no content.
            ContentNotAllowedError: it names a source that links may not ask for.
        """
        link = parse_link(path)
        content = self._links.find(link)
        visit = AdmissionRequest(
            f"/{page}" if page else path_inside(content, link.file),
            content.pool,
            request.remote_addr or "",
            interval=interval,
            content=content.digest,
            phone=is_phone(request.headers.get("Sec-CH-UA-Mobile", ""), request.headers.get("User-Agent", "")),
        )
        return ContentVisit(content, visit, OwnLink(path, page).address)

    def not_yet(self, wanted: ContentVisit) -> Response | None:
        """What those get who cannot come in now, before a sandbox is taken for them; None: they can."""
        content = wanted.content
        following = f"{request.script_root}{wanted.suffix}"
        if not content.digest:
            if content.problem:
                words = f"The files of {_shown(content)} cannot be fetched: {content.problem}"
                if not prefers_page():
                    return failure(503, "content_failed", words)
                return page(
                    "filling.html", 503, heading="These files are not there", message=words, seconds=10,
                    following=following, name="", onward="",
                )  # fmt: skip
            return self._wait(FETCHING, following, content, "fetching")
        if words := self.no_way_in(content):
            if not prefers_page():
                return failure(503, "no_content_nodes", words)
            return page(
                "filling.html", 503, heading="Not now", message=words, seconds=10, following=following, name="",
                onward="",
            )  # fmt: skip
        return None

    def no_way_in(self, content: Content) -> str:
        """Why nobody can have the files of a content that was fetched, as a sentence; empty: somebody can."""
        return "" if self._links.served_in(content.pool) else "No server of this fleet takes files at the moment."

    def lead_in(self, placed: Placed, wanted: ContentVisit) -> Response | None:
        """Have the home of somebody new filled; None: it is, and they may go in."""
        filling = self._links.fill(placed.node, placed.name, placed.ticket, wanted.content.digest)
        if filling.state == "done":
            return None
        sealed = self._cookies.seal_filling(Filled(placed.node, placed.name, placed.ticket))
        return self.filling(filling, wanted, f"{request.script_root}/wait/{sealed}{wanted.suffix}")

    def filled(self, node: str, name: str, ticket: str, wanted: ContentVisit) -> Filling:
        """How far the home of somebody who has a sandbox is."""
        return self._links.fill(node, name, ticket, wanted.content.digest)

    def filling(self, filling: Filling, wanted: ContentVisit, following: str) -> Response:
        """The answer for a home that is not filled yet, or cannot be."""
        if filling.state != "failed":
            return self._wait(FILLING, following, wanted.content, "filling")
        words = f"Your notebook is there, but its files could not be put into it: {filling.message}"
        if not prefers_page():
            return failure(502, "content_failed", words)
        onward = f"{following}{'&' if '?' in following else '?'}anyway"
        return page(
            "filling.html", 502, heading="The files did not come", message=words, seconds=0, following=following,
            name=_shown(wanted.content), onward=onward,
        )  # fmt: skip

    def _wait(self, message: str, following: str, content: Content, status: Literal["fetching", "filling"]) -> Response:
        if prefers_page():
            heading = "Your notebook is on its way"
            response = page(
                "filling.html", 200, heading=heading, message=message, seconds=PLAIN_SECONDS, following=following,
                name=_shown(content), onward="",
            )  # fmt: skip
        else:
            view = WaitingView(
                status=status,
                message=message,
                mood="starting",
                ticket="",
                position=0,
                waiting=0,
                expected_seconds=None,
                retry_after=PLAIN_SECONDS,
                next=following,
                keeps=False,
            )
            response = answer(view, 202)
        response.headers["Retry-After"] = str(PLAIN_SECONDS)
        return response


def _shown(content: Content) -> str:
    """What people know a content as."""
    return content.name if content.named else content.source[:SOURCE_NAME_LIMIT]
