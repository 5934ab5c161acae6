"""The settings' reference is what the settings' tables say."""

from __future__ import annotations

from pathlib import Path

from scripts import settings_reference

SHIPPED = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_settings_reference_is_current() -> None:
    assert SHIPPED.read_text() == settings_reference.page(), "a setting changed: run `make docs` and commit it too"
