"""What every test in a browser needs: Chromium, and a site that is not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.chromium import PROGRAM
from tests.support.other_site import Site, another_site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):  # noqa: PTH120 - pytest compares with a text as well
            item.add_marker(pytest.mark.browser)


@pytest.fixture(autouse=True, scope="session")
def _chromium_is_there() -> None:
    if PROGRAM is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("Chromium is not installed")


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with another_site() as outer:
        yield outer
