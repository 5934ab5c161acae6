"""Tests of the limit on open files."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys

import pytest

from node_agent.proxy.open_files import of_agent, of_nginx, raise_limit, raised

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "wish", "expected"),
    [
        (1024, 4096, 500, 1024),
        (1024, 4096, 2000, 2000),
        (1024, UNLIMITED, 2000, 2000),
        (UNLIMITED, UNLIMITED, 2000, UNLIMITED),
        (1024, 1500, 2000, 1500),
    ],
)
def test_the_limit_is_raised_as_far_as_is_wished_and_allowed(soft: int, hard: int, wish: int, expected: int) -> None:
    assert raised(soft, hard, wish) == expected


def test_what_this_host_allows_is_enough_or_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import resource, logging; from node_agent.proxy.open_files import raise_limit;"
        "logging.basicConfig();"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300));"
        f"raise_limit(10, {of_agent(10)}, wish=1000); raise_limit(1000, {of_agent(1000)});"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(300, 300)"
    assert f"1000 sandboxes may need {of_agent(1000)}" in done.stderr
    assert len(done.stderr.splitlines()) == 1, "ten of them fit"
    with caplog.at_level(logging.WARNING):
        raise_limit(1, of_agent(1))
    assert not caplog.records


def test_nginx_needs_more_for_each_visitor_than_the_agent() -> None:
    assert of_nginx(100) - of_nginx(0) > of_agent(100) - of_agent(0) > 0
