"""Which paths are a visitor's, and what they mean inside a sandbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.web.visitors.landing import inner_path, is_inner_path
from tmpnb_common.paths import path_problem


@pytest.mark.parametrize(
    ("path", "query", "inner"),
    [
        ("/", "", ""),
        ("/", "reset", "?reset"),
        ("/lab", "", "/lab"),
        ("/lab/tree/Welcome.ipynb", "reset", "/lab/tree/Welcome.ipynb?reset"),
        ("/notebooks/A b/Ä.ipynb", "one=1&two=a%20b", "/notebooks/A%20b/%C3%84.ipynb?one=1&two=a%20b"),
        ("/tree/a?b#c", "", "/tree/a%3Fb%23c"),
        ("/lab/tree//double", "", "/lab/tree//double"),
        ("/files//a", "", "/files//a"),
        ("/user/abc//evil.example", "", "//evil.example"),
        ("/tree/%2e%2e/a", "", "/tree/%252e%252e/a"),
        ("/lab/tree/Screenshot 9.41\u202fAM.png", "", "/lab/tree/Screenshot%209.41%E2%80%AFAM.png"),
        ("/lab/tree/\U0001f469\u200d\U0001f4bb.ipynb", "", "/lab/tree/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB.ipynb"),
        ("/user/abc", "", ""),
        ("/user/abc/", "x=1", "?x=1"),
        ("/user/abc/lab/tree/Plot.ipynb", "x=1", "/lab/tree/Plot.ipynb?x=1"),
        ("/user/abc/voila/render/a.ipynb", "", "/voila/render/a.ipynb"),
        ("/fresh", "", ""),
        ("/fresh/", "x=1", "?x=1"),
        ("/fresh/anything/at/all", "", "/anything/at/all"),
        ("/hub/user-redirect/git-pull", "repo=x", "/git-pull?repo=x"),
        ("/voila/render/app.ipynb", "", "/voila/render/app.ipynb"),
        ("/proxy/8501/", "", "/proxy/8501/"),
        (
            "/git-pull",
            "repo=https%3A%2F%2Fa.org%2Fy&urlpath=lab",
            "/git-pull?repo=https%3A%2F%2Fa.org%2Fy&urlpath=lab",
        ),
        ("/course/1", "", "/course/1"),
    ],
)
def test_a_visitors_path_is_kept(path: str, query: str, inner: str) -> None:
    assert inner_path(path, query, {"course", "git-pull"}) == inner


@pytest.mark.parametrize(
    "path",
    [
        "/labyrinth",
        "/hub/home",
        "/freshly/lab",
        "/course",
        "/wp-login.php",
        "/user",
        "/api/spawn",
        "/lab/../../etc/passwd",
        "/user/abc/../../lab",
        "/user/abc/./lab",
        "/lab/a\\b",
        "/lab/a\r\nSet-Cookie: x",
        "/lab/\0",
        "/lab/\ufffd",
    ],
)
def test_any_other_path_is_nobodys(path: str) -> None:
    inner = inner_path(path, "")
    assert inner is None or path_problem(inner)


@given(st.text().map(lambda text: f"/lab/{text}"))
def test_whatever_is_kept_can_stand_in_a_header(path: str) -> None:
    inner = inner_path(path, "")
    if inner is not None:
        assert inner.isascii()
        assert inner.isprintable()
        assert " " not in inner


@pytest.mark.parametrize(
    "text",
    [
        "lab",
        "//evil.example",
        "/lab/../x",
        "/lab/%2e%2e/x",
        "/lab%2F.%2e%5Cx",
        "/lab?a=\\x",
        "/lab#x",
        "/lab x",
        "/lab/<b>",
        "/lab/Ä",
        "/lab/" + "a" * 3500,
    ],
)
def test_a_programs_text_that_a_node_would_refuse_is_no_path(text: str) -> None:
    assert not is_inner_path(text)
