"""Links of BinderHub's, nbgitpuller's and Colab's shape: what each means as a link of our own."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from redirector.model.content_links import parse_link
from redirector.model.foreign_links import (
    OwnLink,
    UnreadableLinkError,
    binder_link,
    binder_source,
    colab_link,
    page_of,
    pull_link,
)

COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("gh/org/repo/main", "gh:org/repo@main"),
        ("gh/org/repo/HEAD", "gh:org/repo"),
        ("gh/org/repo", "gh:org/repo"),
        ("gh/org/repo/", "gh:org/repo"),
        ("gh/org/repo.git/main", "gh:org/repo@main"),
        (f"gh/org/repo/{COMMIT}", f"gh:org/repo@{COMMIT}"),
        ("gh/org/repo/feature/x", "gh:org/repo@feature/x"),
        ("gh/org/repo/feature%2Fx", "gh:org/repo@feature/x"),
        ("gh/https://github.com/org/repo/main", "gh:org/repo@main"),
        (f"gh/{quote('https://github.com/', safe='')}org/repo/main", "gh:org/repo@main"),
        ("gl/org%2Frepo/main", "gl:org/repo@main"),
        ("gl/org%2Fgroup%2Frepo/main", "gl:org/group/repo@main"),
        ("gl/org/repo/main", "gl:org/repo@main"),
        ("git/https%3A%2F%2Fforge.example%2Fx%2Frepo/main", "git+https://forge.example/x/repo@main"),
        ("git/https%3A%2F%2FForge.example%2Fx%2Frepo", "git+https://forge.example/x/repo"),
        ("git/https%3A%2F%2Fgithub.com%2Forg%2Frepo.git/main", "gh:org/repo@main"),
        ("git/https%3A%2F%2Fgitlab.com%2Forg%2Fgroup%2Frepo/main", "gl:org/group/repo@main"),
        ("git/https%3A%2F%2Fforge.example%2Fa%40b%2Frepo/main", "git+https://forge.example/a%40b/repo@main"),
    ],
)
def test_a_spec_names_a_source(spec: str, source: str) -> None:
    assert binder_source(spec).text == source
    # What it becomes is read again on each question of the waiting room.
    read = parse_link(binder_link(spec, {}).path).source
    assert read is not None
    assert read.text == source


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "gh",
        "gh/",
        "gh/org",
        "gh/org/",
        "gist/user/abc/main",
        "zenodo/10.5281/zenodo.1",
        "gh/org/../main",
        "gh/%2e%2e/repo/main",
        "gh/org%2Fother/repo/main",
        "gh/org/repo%2F..%2Fother/main",
        "gh/org/repo/..%2F..%2Fetc",
        "gh/org/repo/--upload-pack=x",
        "gh/org/repo/main%00",
        "gh/org/repo/main%0Aother",
        "gh/org@evil/repo/main",
        "gh/org/repo@evil/main",
        "gh/org/*/main",
        "gh/оrg/repo/main",  # noqa: RUF001 - a Cyrillic letter is the point
        "gh/%D0%BErg/repo/main",
        "gh/%FF/repo/main",
        f"gh/org/{'a' * 4096}/main",
        f"gh/org/repo/{'a' * 4096}",
        "git/forge.example%2Frepo/main",
        "git/file%3A%2F%2F%2Fetc/main",
        "git/ssh%3A%2F%2Fgit%40forge.example%2Frepo/main",
        "git/https%3A%2F%2Fuser%3Apassword%40forge.example%2Frepo/main",
        "git/https%3A%2F%2Fforge.example%2F..%2Frepo/main",
        "git/https%3A%2F%2Fforge.example%2Fa%25252Fb%5Cc/main",
        "git/https://forge.example/x/repo/main",
        "gh/github.com.evil.example/org/repo/main/../x",
    ],
)
def test_a_spec_that_makes_no_sense_names_none(spec: str) -> None:
    with pytest.raises(UnreadableLinkError) as raised:
        binder_source(spec)
    assert len(str(raised.value)) < 600
    assert "password" not in str(raised.value) or "holds no name or password" in str(raised.value)


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ({}, ""),
        ({"labpath": "a/Übung 1.ipynb"}, "doc/tree/a/%C3%9Cbung%201.ipynb"),
        ({"labpath": "/a.ipynb"}, "doc/tree/a.ipynb"),
        ({"filepath": "a.ipynb"}, "tree/a.ipynb"),
        ({"filepath": "100%.ipynb"}, "tree/100%25.ipynb"),
        ({"urlpath": "/lab/tree/a.ipynb"}, "lab/tree/a.ipynb"),
        ({"urlpath": "//lab//tree/a.ipynb"}, "lab/tree/a.ipynb"),
        ({"urlpath": "voila/render/a.ipynb?theme=dark"}, "voila/render/a.ipynb?theme=dark"),
        ({"urlpath": "lab/tree/Übung 1.ipynb"}, "lab/tree/%C3%9Cbung%201.ipynb"),
        ({"urlpath": "lab/tree/a%20b.ipynb"}, "lab/tree/a%20b.ipynb"),
        ({"urlpath": "lab/tree/a.ipynb#part"}, "lab/tree/a.ipynb"),
        ({"urlpath": "//evil.example/x"}, "evil.example/x"),
        ({"urlpath": "https://evil.example/x"}, "https:/evil.example/x"),
        ({"urlpath": "tree", "labpath": "a.ipynb"}, "doc/tree/a.ipynb"),
    ],
)
def test_the_page_of_a_binder_link(query: dict[str, str], page: str) -> None:
    assert binder_link("gh/org/repo/main", query) == OwnLink("/c/gh:org/repo@main", page)
    assert page_of(page) == page


def test_of_a_query_without_end_only_the_beginning_is_read() -> None:
    nested = "git-pull?repo=https%3A%2F%2Fgithub.com%2Forg%2Fcourse" + "&a=1" * 1000
    assert binder_link("gh/org/environment/main", {"urlpath": nested}) == OwnLink("/c/gh:org/course")


def test_a_binder_link_may_name_an_environment_and_the_content_apart() -> None:
    nested = "git-pull?" + "&".join(
        (
            f"repo={quote('https://github.com/org/course', safe='')}",
            "branch=main",
            f"urlpath={quote('lab/tree/course/week 1/a.ipynb', safe='')}",
        )
    )
    link = binder_link("gh/org/environment/main", {"urlpath": nested})
    assert link == OwnLink("/c/gh:org/course@main", "lab/tree/week%201/a.ipynb")


@pytest.mark.parametrize(
    ("query", "link"),
    [
        ({"branch": "main"}, OwnLink("/c/gh:org/course@main")),
        ({}, OwnLink("/c/gh:org/course")),
        ({"urlpath": "lab/tree/course/a.ipynb?autodecode"}, OwnLink("/c/gh:org/course", "lab/tree/a.ipynb?autodecode")),
        ({"urlpath": "tree/course/"}, OwnLink("/c/gh:org/course", "tree/")),
        ({"urlpath": "lab/tree/course/course/a.ipynb"}, OwnLink("/c/gh:org/course", "lab/tree/course/a.ipynb")),
        ({"urlpath": "rstudio/"}, OwnLink("/c/gh:org/course", "rstudio/")),
        ({"urlpath": "voila/render/course/a.ipynb"}, OwnLink("/c/gh:org/course", "voila/render/a.ipynb")),
        (
            {"urlpath": "lab/tree/x%20y/z/a.ipynb", "targetpath": "x y/z"},
            OwnLink("/c/gh:org/course", "lab/tree/a.ipynb"),
        ),
        ({"subPath": "week 1/a.ipynb"}, OwnLink("/c/gh:org/course", "tree/week%201/a.ipynb")),
        ({"subPath": "a.ipynb", "app": "lab"}, OwnLink("/c/gh:org/course", "lab/tree/a.ipynb")),
    ],
)
@pytest.mark.parametrize("repository", ["https://github.com/org/course", "https://GitHub.com/org/course.git"])
def test_a_link_of_nbgitpuller(repository: str, query: dict[str, str], link: OwnLink) -> None:
    assert pull_link({"repo": repository, **query}) == link


@pytest.mark.parametrize("query", [{}, {"repo": ""}, {"repo": "course"}, {"repo": "git@github.com:org/course"}])
def test_a_link_of_nbgitpuller_without_a_repository(query: dict[str, str]) -> None:
    with pytest.raises(UnreadableLinkError):
        pull_link(query)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("org/repo/blob/main/a/b.ipynb", "/c/gh:org/repo@main/-/a/b.ipynb"),
        ("org/repo/blob/feature%2Fx/%C3%9Cbung.ipynb", "/c/gh:org/repo@feature/x/-/Übung.ipynb"),
        ("org/repo/tree/main", "/c/gh:org/repo@main"),
        ("org/repo/", "/c/gh:org/repo"),
        ("org/repo", "/c/gh:org/repo"),
    ],
)
def test_a_link_of_colabs_shape(spec: str, path: str) -> None:
    link = colab_link(spec)
    assert link == OwnLink(path)
    assert parse_link(link.path).file == path.partition("/-/")[2]


@pytest.mark.parametrize("spec", ["org", "org/repo/issues/1", "org/repo/blob", "org/repo/blob/", "../repo/blob/main/a"])
def test_another_address_of_colabs_shape_is_none(spec: str) -> None:
    with pytest.raises(UnreadableLinkError):
        colab_link(spec)
