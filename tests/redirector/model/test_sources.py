"""Sources and patterns as people write them: what each is taken for, and what is refused with which advice."""

from __future__ import annotations

import pytest

from redirector.model.sources import SourceError, matches, parse_pattern, parse_source


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        ("gh:org/*", "gh:Org/course@v1"),
        ("gl:group/*/course", "gl:group/sub/course"),
        ("git+https://h.example/a/*", "git+https://h.example/a/b@main"),
        ("https://h.example/a/*", "https://h.example/a/b.zip"),
        ("https://h.example/a/b.ZIP", "https://h.example/a/b.ZIP"),
    ],
)
def test_a_pattern_allows_sources_of_its_own_kind(pattern: str, source: str) -> None:
    assert matches(parse_pattern(pattern), parse_source(source))


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        ("gh:org/*", "gh:org2/course"),
        ("gh:org/course@main", "gh:org/course@dev"),
        ("https://h.example/a/*", "git+https://h.example/a/b"),
        ("git+https://h.example/a/*", "https://h.example/a/b.zip"),
        ("git+https://h.example/a/*", "git+https://h.example/a/b/c"),
    ],
)
def test_and_no_others(pattern: str, source: str) -> None:
    assert not matches(parse_pattern(pattern), parse_source(source))


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        # Such a one would allow nothing: links name repositories by git+https://…
        ("https://h.example/org/course", "allowed as git+https://h.example/org/course"),
        ("dir:/srv/course", "cannot ask for a directory"),
        ("gh:org/**", "more than one"),
        ("https://*/course.zip", "host"),
        ("course", "is none of"),
    ],
)
def test_a_pattern_that_would_allow_nothing_or_too_much_is_refused_with_advice(pattern: str, advice: str) -> None:
    with pytest.raises(SourceError) as refused:
        parse_pattern(pattern)
    assert advice in str(refused.value)
