"""Links to contents: what one looks like, and what one means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from redirector.model.content import (
    CONTENT_NAME,
    Content,
    ContentNotAllowedError,
    ContentPattern,
    UnknownContentError,
    unnamed,
)
from redirector.model.sources import Source, SourceError, matches, parse_source

PREFIX = "/c"
"""Where links to contents begin."""

FILE_MARK = "/-/"
"""In a link that names a source: what comes before a file's path, which could be a part of the source otherwise."""

SAFE = "/~!$&'()*+,;=:@"
"""What stands for itself in a path, beside letters, digits and `_.-`."""

LAB = "/lab/tree/"
"""JupyterLab's page of a file. Nodes turn it into Notebook 7's for phones."""


@dataclass(frozen=True, slots=True)
class ContentLink:
    """What a link names."""

    content: str
    """A content's name, or the name that a source has as a content."""
    file: str
    """The path of a file in the home, as people write it; empty: the content's own page."""
    source: Source | None = None
    """The source that the link names; None where it names a content."""


def parse_link(path: str) -> ContentLink:
    """Read the path of a link, decoded, from the `PREFIX` on.

    Raises:
        UnknownContentError: it names no content that could be.
        ContentNotAllowedError: it names a source that makes no sense.
    """
    rest = path.removeprefix(PREFIX).removeprefix("/")
    name, _, file = rest.partition("/")
    if ":" not in name:
        if not CONTENT_NAME.fullmatch(name):
            raise UnknownContentError(name)
        return ContentLink(name, file)
    text, _, file = rest.partition(FILE_MARK)
    try:
        source = parse_source(text)
    except SourceError:
        raise ContentNotAllowedError(text) from None
    return ContentLink("", file, source)


def pool_of(source: Source, patterns: Sequence[ContentPattern]) -> str | None:
    """The pool in which links may ask for a source; None: they may not."""
    return next((each.pool for each in patterns if matches(each.pattern, source)), None)


def known_content(
    link: ContentLink, contents: Mapping[str, Content], patterns: Sequence[ContentPattern]
) -> tuple[Content | None, str]:
    """The content that a link asks for, or None with the pool for which it has to be made.

    Raises:
        UnknownContentError: there is no such content.
        ContentNotAllowedError: links may not ask for its source.
    """
    if link.source is None:
        content = contents.get(link.content)
        if content is None:
            raise UnknownContentError(link.content)
        return content, content.pool
    named = next((each for each in contents.values() if each.named and each.source == link.source.text), None)
    if named is not None and not named.token:
        # An operator named it already; of a private one its name alone opens it.
        return named, named.pool
    pool = pool_of(link.source, patterns)
    if pool is None:
        raise ContentNotAllowedError(link.source.text)
    return contents.get(unnamed(link.source, pool)), pool


def path_inside(content: Content, file: str) -> str:
    """The path inside a sandbox that a link leads to; empty for where the pool lands."""
    wanted = (file or content.page).strip("/")
    return f"{LAB}{quote(wanted, safe=SAFE)}" if wanted else ""


def link_to(entry_url: str, content: str, file: str = "") -> str:
    """The address of a content, or of a file in it."""
    inner = f"/{quote(file.strip('/'), safe=SAFE)}" if file.strip("/") else ""
    return f"{entry_url.rstrip('/')}{PREFIX}/{content}{inner}"


@dataclass(frozen=True, slots=True)
class LinkForms:
    """A link in the forms that documents need it in."""

    url: str
    markdown: str
    html: str
    rst: str
    iframe: str


def link_forms(entry_url: str, content: str, file: str = "") -> LinkForms:
    """A link, its badge in three markup languages, and a frame around it."""
    url, badge = link_to(entry_url, content, file), f"{entry_url.rstrip('/')}/badge_logo.svg"
    # In addresses as they are made here there is nothing that HTML or Markdown would read as its own, but for these.
    in_html = url.replace("&", "&amp;").replace("'", "&#39;")
    in_markdown = url.replace("(", "%28").replace(")", "%29")
    return LinkForms(
        url,
        f"[![open as a notebook]({badge})]({in_markdown})",
        f'<a href="{in_html}"><img src="{badge}" alt="open as a notebook"></a>',
        f".. image:: {badge}\n   :target: {url}\n   :alt: open as a notebook",
        f'<iframe src="{in_html}" width="100%" height="600" allow="clipboard-write"></iframe>',
    )
