"""Links of BinderHub's, nbgitpuller's and Colab's shape, read as links to contents. Pure.

What strangers wrote is parsed once, into a source and a page, and what comes of it is a link of our own
(`model.content_links`), which is all that the rest of the program ever sees. Paths are read as they were sent: an
encoded slash in one is part of a name, which a decoded path cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from redirector.errors import FleetError
from redirector.model.content_links import FILE_MARK, PREFIX, SAFE
from redirector.model.sources import DEFAULT_REF, Source, SourceError, parse_source

BINDER = "/v2/"
PULLS = ("/git-pull", "/hub/user-redirect/git-pull")
COLAB = "/github/"
"""What the addresses begin with."""

GITHUB, GITLAB = "https://github.com/", "https://gitlab.com/"

GIT_PULL = re.compile(r"/*git-pull\?")
"""How a page of a Binder link begins that names the content's own repository: the link's one is the environment."""

DEPTH = 4
"""Behind so many parts of a page's path a repository's directory stands at most: `lab/workspaces/a/tree/course`."""

FIELDS = 32
"""Parts of a query that are read; the rest is nobody's."""


class UnreadableLinkError(FleetError):
    """An address has the shape of a link but names no repository that can be read."""

    code = "unreadable_link"

    def __init__(self, why: str) -> None:
        super().__init__(f"this link cannot be opened: {why}")


@dataclass(frozen=True, slots=True)
class OwnLink:
    """A link of our own that means the same."""

    path: str
    """Decoded, from `PREFIX` on."""
    page: str = ""
    """A page inside the sandbox, path and query as an address holds them, without the first slash; empty: none."""

    @property
    def address(self) -> str:
        """The link as an address."""
        return quote(self.path, safe=SAFE) + (f"?urlpath={quote(self.page, safe='')}" if self.page else "")


def binder_link(spec: str, query: Mapping[str, str]) -> OwnLink:
    """Read `/v2/<provider>/<spec…>`.

    Args:
        spec: the raw path behind `/v2/`.
        query: its fields, decoded; `labpath`, `filepath` or `urlpath` names the page.

    Raises:
        UnreadableLinkError: it names no repository, or one of a provider that is unknown here.
    """
    urlpath = query.get("urlpath", "")
    nested = GIT_PULL.match(urlpath)
    if nested:
        return pull_link(fields_of(urlpath[nested.end() :]))
    if labpath := query.get("labpath"):
        page = f"doc/tree/{_quoted(labpath)}"
    elif filepath := query.get("filepath"):
        page = f"tree/{_quoted(filepath)}"
    else:
        page = page_of(urlpath)
    return _own(binder_source(spec), page)


def binder_source(spec: str) -> Source:
    """The source that `<provider>/<spec…>` names, as it was sent.

    Raises:
        UnreadableLinkError: it names none.
    """
    provider, _, rest = spec.partition("/")
    match provider:
        case "gh":
            for start in (GITHUB, quote(GITHUB, safe="")):
                rest = re.sub(f"^{re.escape(start)}", "", rest, flags=re.IGNORECASE)
            owner, repository, ref = _split(rest, 2)
            return _source(f"gh:{owner}/{repository}", ref)
        case "gl":
            project, ref = _split(rest, 1)
            if "/" not in project:
                *project_parts, ref = _split(rest, 2)
                project = "/".join(project_parts)
            return _source(f"gl:{project}", ref)
        case "git":
            return source_of_url(*_split(rest, 1))
    raise UnreadableLinkError(f"{provider!r:.40} is no kind of repository that is known here; gh, gl and git are")


def binder_spec(source: Source, ref: str) -> str:
    """What names a repository at some ref behind `/v2/`: the inverse of `binder_source`."""
    project = source.url.removesuffix(".git")
    match source.kind:
        case "gh":
            return f"gh/{project.removeprefix(GITHUB)}/{ref}"
        case "gl":
            return f"gl/{quote(project.removeprefix(GITLAB), safe='')}/{ref}"
        case _:
            return f"git/{quote(source.url, safe='')}/{ref}"


def forge_page(source: Source, ref: str) -> str:
    """The page of a repository at its forge, at some ref; of other hosts, of which nothing is known, the repository."""
    project = source.url.removesuffix(".git")
    match source.kind:
        case "gh":
            return f"{project}/tree/{ref}"
        case "gl":
            return f"{project}/-/tree/{ref}"
        case _:
            return source.url


def pull_link(query: Mapping[str, str]) -> OwnLink:
    """Read the query, decoded, of a link of nbgitpuller.

    nbgitpuller clones into a directory of the home, and pages name it; here the files lie in the home itself, so it is
    left out of them.

    Raises:
        UnreadableLinkError: it names no repository.
    """
    url = query.get("repo", "")
    if not url:
        raise UnreadableLinkError("it names no repository (repo=…)")
    source = source_of_url(url, query.get("branch", ""))
    named = (query.get("targetpath") or query.get("targetPath") or "").strip("/")
    directory = named or url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
    urlpath = query.get("urlpath") or query.get("urlPath") or ""
    if not urlpath and (inner := (query.get("subPath") or query.get("subpath") or "").strip("/")):
        lab = query.get("app", "").lower() == "lab"
        urlpath = f"{'lab/tree' if lab else 'tree'}/{directory}/{quote(inner, safe=SAFE)}"
    return _own(source, page_of(_without(directory, urlpath)))


def colab_link(spec: str) -> OwnLink:
    """Read `/github/<owner>/<repository>/blob/<ref>/<path>`, and `tree` likewise.

    Args:
        spec: the raw path behind `/github/`. An encoded slash belongs to the ref.

    Raises:
        UnreadableLinkError: it names no repository.
    """
    owner, repository, rest = _split(spec, 2)
    if not rest:
        return _own(_source(f"gh:{owner}/{repository}", ""), "")
    kind, _, behind = spec.split("/", 2)[2].partition("/")
    if kind not in {"blob", "tree"} or not behind:
        raise UnreadableLinkError("behind the repository comes /blob/, a branch and a file")
    ref, _, file = behind.partition("/")
    return _own(_source(f"gh:{owner}/{repository}", unquote(ref)), "", unquote(file).strip("/"))


def source_of_url(url: str, ref: str) -> Source:
    """The source that a repository's URL and a ref mean; those at GitHub and GitLab are known by their short names.

    Raises:
        UnreadableLinkError: it is no URL of a repository.
    """
    for start, forge in ((GITHUB, "gh"), (GITLAB, "gl")):
        if url.lower().startswith(start):
            return _source(f"{forge}:{url[len(start) :]}", ref)
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in {"https", "http"}:
        raise UnreadableLinkError(f"{url!r:.200} is no address of a repository that begins with https://")
    # Behind an '@' would begin the ref.
    host, slash, path = rest.partition("/")
    return _source(f"git+{scheme.lower()}://{host}{slash}{path.replace('@', '%40')}", ref)


def fields_of(query: str) -> dict[str, str]:
    """The first fields of a query, decoded."""
    return dict(parse_qsl("&".join(query.split("&", FIELDS)[:FIELDS])))


def page_of(text: str) -> str:
    """A page's path and query as people write them, as an address holds them: no empty parts, no fragment."""
    path, mark, query = text.partition("#")[0].partition("?")
    return _folded(quote(path, safe=f"{SAFE}%")) + (f"?{quote(query, safe=f'{SAFE}%?')}" if mark else "")


def _source(text: str, ref: str) -> Source:
    if text.startswith(("gh:", "gl:")) and "@" in text:
        raise UnreadableLinkError(f"{text!r:.200} names no repository")
    try:
        return parse_source(f"{text}@{ref}" if ref and ref != DEFAULT_REF else text)
    except SourceError as error:
        raise UnreadableLinkError(str(error)) from None


def _split(raw: str, names: int) -> list[str]:
    """So many names and what follows them, each decoded. A ref may be several parts of the path."""
    parts = raw.split("/", names)
    parts += [""] * (names + 1 - len(parts))
    try:
        return [unquote(part, errors="strict") for part in (*parts[:names], parts[names].strip("/"))]
    except UnicodeDecodeError:
        raise UnreadableLinkError("its address is not in UTF-8") from None


def _own(source: Source, page: str, file: str = "") -> OwnLink:
    return OwnLink(f"{PREFIX}/{source.text}{FILE_MARK}{file}" if file else f"{PREFIX}/{source.text}", page)


def _without(directory: str, page: str) -> str:
    """A page's path without the first of its parts that is the repository's directory."""
    path, mark, query = page.partition("?")
    parts, inner = path.lstrip("/").split("/"), directory.split("/")
    for at in range(1, min(DEPTH, len(parts) - len(inner)) + 1):
        if [unquote(part) for part in parts[at : at + len(inner)]] == inner:
            parts[at : at + len(inner)] = []
            break
    return "/".join(parts) + mark + query


def _quoted(path: str) -> str:
    return _folded(quote(path, safe=SAFE))


def _folded(path: str) -> str:
    return re.sub("/{2,}", "/", path).lstrip("/")
