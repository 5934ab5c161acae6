"""What browsers say a request is for."""

from __future__ import annotations

import pytest

from tmpnb_common.fetch_metadata import FRAMES, is_phone, purpose

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


@pytest.mark.parametrize(
    ("mobile", "user_agent", "phone"),
    [
        ("?1", "", True),
        ("?0", "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Mobile", False),
        ("", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1", True),
        ("", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", False),
        ("", "", False),
    ],
)
def test_a_phone_says_that_it_is_one(mobile: str, user_agent: str, phone: bool) -> None:
    assert is_phone(mobile, user_agent) is phone
