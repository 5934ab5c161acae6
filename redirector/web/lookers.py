"""Who only looks: programs and browsers that ask for the entry without anybody who would use a notebook. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

PURPOSES = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
"""Headers in which browsers say why they ask, as WSGI names them: a miss costs nothing there, unlike in
`request.headers`, and every visitor misses all of them.
"""

BOTS = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|preview|facebookexternalhit|facebot|whatsapp|telegram|embedly|skypeuri|pinterest"
    r"|vkshare|mastodon|lemmy|iframely|bitlybot|quora link|google-(?:read-aloud|inspectiontool|extended)"
    r"|mediapartners|archiver|wayback|headline|feedfetcher|validator|lighthouse|uptime|pingdom|statuscake|monitor"
    r"|masscan|zgrab|nikto|nmap|nuclei|sqlmap|gobuster|wpscan|dirbuster|censys|expanse|shodan|netcraft|qualys|nessus",
    re.IGNORECASE,
)
"""Words by which those call themselves who fetch a link to show, search, watch or attack what is behind it."""


def prefetches(purposes: Iterable[str]) -> bool:
    """A browser fetches ahead of a click that may never come; `purposes` are what those headers say."""
    return any("prefetch" in purpose.lower() or "preview" in purpose.lower() for purpose in purposes)


def is_bot(user_agent: str) -> bool:
    """A program that says so itself."""
    return BOTS.search(user_agent) is not None
