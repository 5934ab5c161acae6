"""What browsers say a request is for."""

from __future__ import annotations

import pytest

from tmpnb_common.fetch_metadata import FRAMES, purpose

SITES = ("none", "same-origin", "same-site", "cross-site")


@pytest.mark.parametrize("site", SITES)
def test_a_window_that_somebody_opens_is_a_visit(site: str) -> None:
    assert purpose("navigate", "document", site) == "visit"


def test_what_says_nothing_is_a_visit() -> None:
    assert purpose("", "", "") == "visit"


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("site", ["none", "same-site", "cross-site", ""])
def test_another_origins_frame_is_a_frame(frame: str, site: str) -> None:
    assert purpose("navigate", frame, site) == "frame"


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_that_a_page_of_the_same_origin_leads_on_is_a_visit(frame: str) -> None:
    assert purpose("navigate", frame, "same-origin") == "visit"


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin", "websocket", "webtransport", "anything"])
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("destination", ["", "empty", "image", "style", "script", "font", "document"])
def test_every_mode_but_navigate_is_a_part_of_a_page(mode: str, site: str, destination: str) -> None:
    assert purpose(mode, destination, site) == "part"
