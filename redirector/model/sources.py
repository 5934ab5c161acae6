"""Where content comes from, as an operator or a link names it, and what links may ask for. Pure.

Everything here was written by strangers: a source is parsed once, into parts that no forge, program or pattern can read
in another way. Nothing is looked up; the worker checks the host's addresses when it fetches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from redirector.errors import BadRequestError

SourceKind = Literal["gh", "gl", "git", "archive", "directory"]

LONGEST = 500
"""In characters. Links carry sources, and so do rows of the journal."""

DEFAULT_REF = "HEAD"

FORGES: dict[str, tuple[SourceKind, str]] = {"gh": ("gh", "https://github.com"), "gl": ("gl", "https://gitlab.com")}
PROJECT_PARTS = {"gh": range(2, 3), "gl": range(2, 21)}
"""How many components a project's path has: an owner and a repository at GitHub, nested groups at GitLab."""

ARCHIVES = (".zip", ".tar.gz", ".tgz")

FORMS = (
    "gh:org/repo@ref, gl:group/project@ref, git+https://host/path@ref, "
    "https://host/path.zip (or .tar.gz), dir:/directory"
)

HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")
PROJECT = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,99}")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
REF_SIGN = re.compile(r"(?<!/)@")
"""An '@' behind a slash belongs to the path, as in https://host/@user/repo."""

REF_REFUSED = re.compile(r"[\x00-\x20\x7f~^:?\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|^[-/.]|[/.]$")
"""What `git check-ref-format` refuses, and a first character that programs take for an option."""


class SourceError(BadRequestError):
    """A source or a pattern of sources that cannot be used; the text says why and is safe to show."""

    code = "bad_source"


@dataclass(frozen=True, slots=True)
class Source:
    """One source, parsed."""

    kind: SourceKind
    url: str
    """What is fetched: the URL of a repository or an archive, without credentials; the path of a directory."""
    ref: str
    """A branch, a tag, a whole commit or HEAD; empty for archives and directories."""
    text: str
    """The canonical form: what names the same source in the same way has the same text."""

    @property
    def pinned(self) -> bool:
        """Whether it names a commit, which never changes, so that it need not be checked again."""
        return COMMIT.fullmatch(self.ref) is not None


@dataclass(frozen=True, slots=True)
class _Parts:
    """A source or a pattern in the parts in which both are compared."""

    kind: SourceKind
    origin: str
    path: tuple[str, ...]
    ref: str | None
    """None: none was named."""
    query: str


def parse_source(text: str) -> Source:
    """Parse what somebody named.

    Raises:
        SourceError: it is no source; with a sentence that says what is wrong.
    """
    parts = _parse(text)
    if any("*" in part for part in (*parts.path, parts.ref or "", parts.query)):
        raise SourceError(f"{text!r:.200} has a '*', which only patterns may have")
    ref = parts.ref or DEFAULT_REF
    suffix = "" if ref == DEFAULT_REF else f"@{ref}"
    path = "/".join(parts.path)
    match parts.kind:
        case "gh" | "gl":
            return Source(parts.kind, f"{parts.origin}/{path}.git", ref, f"{parts.kind}:{path}{suffix}")
        case "git":
            return Source("git", f"{parts.origin}/{path}", ref, f"git+{parts.origin}/{path}{suffix}")
        case "archive":
            url = f"{parts.origin}/{path}" + (f"?{parts.query}" if parts.query else "")
            if not path.lower().endswith(ARCHIVES):
                raise SourceError(f"{text!r:.200} is no archive: its path ends in none of {', '.join(ARCHIVES)}")
            return Source("archive", url, "", url)
        case "directory":
            return Source("directory", f"/{path}", "", f"dir:/{path}")


def parse_pattern(text: str) -> str:
    """Check a pattern of what links may ask for.

    A pattern is a source in which a component may have one '*', for anything within that component. Without a ref it
    allows every ref. Hosts stand in full, and directories cannot be allowed: a link chooses nothing on our host.

    Returns:
        The pattern in its canonical form.

    Raises:
        SourceError: it is no such pattern.
    """
    parts = _parse(text)
    if parts.kind == "directory":
        raise SourceError("a link cannot ask for a directory of this host: add it as content of a name")
    if parts.kind == "archive" and "*" not in parts.path[-1] and not parts.path[-1].lower().endswith(ARCHIVES):
        raise SourceError(f"{text!r:.200} is no archive; a repository is allowed as git+{text:.200}")
    if any(part.count("*") > 1 for part in (*parts.path, *(parts.ref or "").split("/"), parts.query)):
        raise SourceError(f"{text!r:.200} has more than one '*' between two slashes")
    path, suffix = "/".join(parts.path), "" if parts.ref is None else f"@{parts.ref}"
    if parts.kind in FORGES:
        return f"{parts.kind}:{path}{suffix}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{'git+' if parts.kind == 'git' else ''}{parts.origin}/{path}{query}{suffix}"


def matches(pattern: str, source: Source) -> bool:
    """Whether a pattern allows links to ask for a source. A pattern that cannot be read allows nothing."""
    if source.kind == "directory":
        return False
    try:
        allowed, wanted = _parse(pattern), _parse(source.text)
    except SourceError:
        return False
    if (allowed.kind, allowed.origin, len(allowed.path)) != (wanted.kind, wanted.origin, len(wanted.path)):
        return False
    # The forges take no notice of case in the names of projects.
    fold = str.lower if wanted.kind in FORGES else str
    if not all(_fits(fold(mask), fold(part)) for mask, part in zip(allowed.path, wanted.path, strict=True)):
        return False
    if allowed.ref is not None:
        masks, parts = allowed.ref.split("/"), source.ref.split("/")
        if len(masks) != len(parts) or not all(map(_fits, masks, parts)):
            return False
    return _fits(allowed.query, wanted.query)


def _fits(mask: str, part: str) -> bool:
    head, star, tail = mask.partition("*")
    if not star:
        return mask == part
    return len(part) >= len(head) + len(tail) and part.startswith(head) and part.endswith(tail)


def _parse(text: str) -> _Parts:
    if not text or len(text) > LONGEST:
        raise SourceError(f"a source has 1 to {LONGEST} characters: {FORMS}")
    if not text.isprintable() or " " in text:
        raise SourceError(f"{text!r:.200} has a space or a character that cannot be seen")
    scheme, colon, rest = text.partition(":")
    if colon and scheme in FORGES:
        return _forge(scheme, rest, text)
    if colon and scheme in {"git+https", "git+http"}:
        return _url("git", text.removeprefix("git+"), text)
    if colon and scheme in {"https", "http"}:
        return _url("archive", text, text)
    if colon and scheme == "dir":
        return _directory(rest, text)
    raise SourceError(f"{text!r:.200} is none of {FORMS}")


def _forge(scheme: str, rest: str, text: str) -> _Parts:
    path, at, ref = rest.partition("@")
    parts = path.removesuffix("/").removesuffix(".git").split("/")
    if len(parts) not in PROJECT_PARTS[scheme]:
        raise SourceError(f"{text!r:.200} names no repository: write {scheme}:owner/repository, and @ref if need be")
    for part in parts:
        if not PROJECT.fullmatch(part):
            raise SourceError(f"{text!r:.200}: {part!r:.100} is no name of an owner or a repository")
    kind, origin = FORGES[scheme]
    return _Parts(kind, origin, tuple(parts), _ref(ref, text) if at else None, "")


def _url(kind: Literal["git", "archive"], url: str, text: str) -> _Parts:
    origin, split = _origin(url, text)
    if "#" in url:
        raise SourceError(f"{text!r:.200} has a '#', which no server ever sees")
    if not url.isascii() or not url.isprintable() or "\\" in url:
        raise SourceError(f"{text!r:.200}: other characters than ASCII stand in a URL as %XX")
    path, ref = split.path, None
    if kind == "git":
        if "?" in url:
            raise SourceError(f"{text!r:.200} has a '?': a repository's URL has none")
        at = REF_SIGN.search(path)
        if at:
            path, ref = path[: at.start()], _ref(path[at.end() :], text)
    parts = path.removeprefix("/").removesuffix("/").split("/")
    for part in parts:
        plain = unquote(part)
        if plain in {"", ".", ".."} or "/" in plain or "\\" in plain or not plain.isprintable():
            raise SourceError(f"{text!r:.200}: its path has a part {part!r:.100}, which servers read differently")
    return _Parts(kind, origin, tuple(parts), ref, split.query)


def _origin(url: str, text: str) -> tuple[str, SplitResult]:
    """The scheme, host and port of a URL in their one form, and the URL in its parts."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise SourceError(f"{text!r:.200} is no URL") from None
    if split.username is not None or split.password is not None:
        # Not repeated: it would end up in logs and in histories of shells.
        raise SourceError("a source holds no name or password: give a private source's token with --token-file")
    host = f"[{split.hostname}]" if split.hostname and ":" in split.hostname else split.hostname or ""
    if not HOST.fullmatch(host) or ".." in host:
        raise SourceError(f"{text!r:.200}: {host!r:.100} is no host")
    default = {"https": 443, "http": 80}[split.scheme]
    return f"{split.scheme}://{host}" + (f":{port}" if port not in (None, default) else ""), split


def _directory(path: str, text: str) -> _Parts:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if not path.startswith("/") or ".." in parts or not parts:
        raise SourceError(f"{text!r:.200} names no directory: write dir:/ and the whole path, without '..'")
    return _Parts("directory", "", tuple(parts), None, "")


def _ref(ref: str, text: str) -> str:
    if not ref or REF_REFUSED.search(ref):
        raise SourceError(f"{text!r:.200}: {ref!r:.100} is no branch, tag or commit")
    return ref
