"""What of a sandbox's answers is hidden or ignored, what of a request it never sees, and what the node says itself."""

from __future__ import annotations

from node_agent.proxy.nginx import tls
from node_agent.settings.table import NodeSettings

HIDDEN = (
    # They would act on every sandbox of this node and on the node itself, for its origin is one.
    "Set-Cookie",
    "Set-Cookie2",
    "Set-Login",
    "Clear-Site-Data",
    "Service-Worker-Allowed",
    "Strict-Transport-Security",
    "Public-Key-Pins",
    "Public-Key-Pins-Report-Only",
    "Expect-CT",
    "Alt-Svc",
    "Accept-CH",
    "Critical-CH",
    "Origin-Agent-Cluster",
    "Use-As-Dictionary",
    "Secure-Session-Registration",
    "Secure-Session-Challenge",
    "Activate-Storage-Access",
    # They would send addresses, and so keys, to whomever the sandbox likes.
    "NEL",
    "Report-To",
    "Reporting-Endpoints",
    "Content-Security-Policy-Report-Only",
    "Attribution-Reporting-Register-Source",
    "Attribution-Reporting-Register-Trigger",
    "Observe-Browsing-Topics",
    "SourceMap",
    "X-SourceMap",
    "Link",
    "Refresh",
    "Speculation-Rules",
    "Onion-Location",
    # A password dialog that seems to be the node's.
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Authentication-Info",
    # The node decides these.
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Private-Network",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Timing-Allow-Origin",
    "Content-Security-Policy",
    "X-Frame-Options",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Robots-Tag",
    # Says what runs inside, to those who look for holes in it.
    "Server",
    "Server-Timing",
    "X-Powered-By",
)
"""What of a sandbox's answers never reaches a browser. nginx drops the X-Accel family by itself."""

OF_AN_ORIGIN = ("Set-Cookie", "Service-Worker-Allowed")
"""What of it a browser gets where the origin is the sandbox's own: sessions of applications live on it."""

IGNORED = (
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "Expires",
    "Cache-Control",
    "Set-Cookie",
    "Vary",
)
"""What nginx would otherwise obey itself; the first would let a sandbox read another one's answers."""

UNSENT = ("Cookie", "Authorization", "Proxy-Authorization", "Referer", "X-Forwarded-For", "X-Real-IP", "Forwarded")
"""What of a visitor's request no sandbox sees: other sites' secrets, other sandboxes' addresses, the visitor's own.

Where the origin is the sandbox's own, its cookies are its own as well.
"""


CUT_OFF = r"\n\nHTTP/1.1 502 Bad Gateway\nConnection: close\nContent-Length: 0\n\n"
"""Takes the place of the first end of a line in what is no final answer of HTTP's, which nginx passes on unseen. It
ends the headers that a browser may see there before the sandbox's first one, and ends the exchange if that was an
interim answer. Browsers take a lone CR for the end of a line, too.
"""


def common(settings: NodeSettings) -> list[str]:
    """Headers of every answer; a location that adds one of its own has to repeat them."""
    headers = [
        "Access-Control-Allow-Origin $cors_origin",
        "Access-Control-Allow-Credentials $cors_credentials",
        "Access-Control-Allow-Methods $cors_methods",
        "Access-Control-Allow-Headers $cors_headers",
        "Access-Control-Max-Age $cors_max_age",
        # The address is the capability: it must not travel on to wherever a link leads.
        "Referrer-Policy no-referrer",
        "X-Content-Type-Options nosniff",
        # Whoever opened a page in another window cannot look into it: not the page of another sandbox either.
        "Cross-Origin-Opener-Policy noopener-allow-popups",
        'X-Robots-Tag "noindex, nofollow"',
    ]
    if settings.allow_origin and settings.allow_origin != ("*",):
        headers.append("Vary Origin")
    return [*(f"add_header {header} always;" for header in headers), *tls.header_lines(settings)]


def toward_sandbox(settings: NodeSettings) -> list[str]:
    """What is taken from a visitor's request and from a sandbox's answer on the way."""
    apart = settings.origin == "sandbox"
    unsent = [name for name in UNSENT if not (apart and name == "Cookie")]
    hidden = [name for name in HIDDEN if not (apart and name in OF_AN_ORIGIN)]
    return [
        *(f'proxy_set_header {name} "";' for name in unsent),
        f"proxy_ignore_headers {' '.join(IGNORED)};",
        *(f"proxy_hide_header {name};" for name in hidden),
        *(_own_cookies(settings) if apart else ()),
        "sub_filter_types *;",
        *(f"sub_filter ${end} '{CUT_OFF}';" for end in ("garbled_cr", "garbled_lf")),
    ]


def _own_cookies(settings: NodeSettings) -> list[str]:
    """Keep an application's cookies to the sandbox's own host, whatever domain it names."""
    secure = ["proxy_cookie_flags ~. secure;"] if settings.url.startswith("https:") else []
    return ["proxy_cookie_domain ~. $host;", *secure]
