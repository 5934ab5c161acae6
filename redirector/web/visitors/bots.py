"""Who only looks: programs and browsers that ask for the entry without anybody who would use a notebook. Pure."""

from __future__ import annotations

import re

BOTS = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|facebookexternalhit|facebot|meta-external|embedly|skypeuri"
    r"|vkshare|mastodon|lemmy|iframely|bitlybot|quora link|google-(?:read-aloud|inspectiontool|extended)"
    r"|google web preview|bingpreview|mediapartners|feedfetcher|lighthouse|pingdom|statuscake"
    r"|masscan|zgrab|nikto|nmap|nuclei|sqlmap|gobuster|wpscan|dirbuster|censys|expanse|shodan|netcraft|qualys|nessus",
    re.IGNORECASE,
)
"""Words by which those call themselves who fetch a link to show, search, watch or attack what is behind it."""

PERHAPS_BOTS = re.compile(
    r"preview|whatsapp|telegram|pinterest|archiver|wayback|headline|validator|uptime|monitor", re.IGNORECASE
)
"""Likewise, but apps, devices and browsers of people bear such names too: they count in what names no browser."""

BROWSER = re.compile(r"Mozilla/5\.0 \((?!compatible)[^)]+\) .*(?:AppleWebKit|Gecko)/")
"""How every browser of today calls itself, those inside apps included."""


def is_bot(user_agent: str) -> bool:
    """A program that says so itself."""
    if BOTS.search(user_agent):
        return True
    return PERHAPS_BOTS.search(user_agent) is not None and BROWSER.match(user_agent) is None
