"""Why a notice, a line that operators show in the pages of all sessions, cannot be shown: in words for people. Pure."""

from __future__ import annotations

from redirector.admin_api.requests import LONGEST_SECONDS, NOTICE_LIMIT


def notice_problem(text: str, seconds: float) -> str:
    """Why a notice cannot be shown, as a sentence; empty if it can. `seconds` is for how long it is to be shown."""
    if not text.isprintable():
        return "a notice is one line of text, without control characters"
    if len(text) > NOTICE_LIMIT:
        return f"a notice has at most {NOTICE_LIMIT} characters, and this one has {len(text)}"
    if seconds < 1:
        return "its time is over already, so that nobody would see it"
    if seconds > LONGEST_SECONDS:
        return f"a notice is shown for at most {LONGEST_SECONDS // 86400} days"
    return ""
