"""Tests of the limit on open files."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys

import pytest

from node_agent.open_files import needed, raise_limit, raised

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "need", "expected"),
    [
        (1024, 4096, 500, (1024, True)),
        (1024, 4096, 2000, (2000, True)),
        (1024, UNLIMITED, 2000, (2000, True)),
        (UNLIMITED, UNLIMITED, 2000, (UNLIMITED, True)),
        (1024, 1500, 2000, (1500, False)),
    ],
)
def test_the_limit_is_raised_as_far_as_is_needed_and_allowed(
    soft: int, hard: int, need: int, expected: tuple[int, bool]
) -> None:
    assert raised(soft, hard, need) == expected


def test_what_this_host_allows_is_enough_or_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import resource, logging; from node_agent.open_files import raise_limit;"
        "logging.basicConfig();"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300)); raise_limit(10); raise_limit(1000);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(300, 300)"
    assert f"1000 sandboxes may need {needed(1000)}" in done.stderr
    assert len(done.stderr.splitlines()) == 1, "ten of them fit"
    with caplog.at_level(logging.WARNING):
        raise_limit(1)
    assert not caplog.records
