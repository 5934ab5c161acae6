"""Renders nginx's configuration: settings in, text out. What a sandbox answers is hostile, and stopped here.

The parts are templates beside this file. One server serves all in origin mode `node`; in mode `sandbox` there is one
for the node's own host, and one for all hosts whose names are a sandbox's below it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from node_agent.directories import SOCKET_NAME
from node_agent.pages import script_path
from node_agent.proxy.nginx import headers, tls
from node_agent.proxy.nginx.shares import shares
from node_agent.settings.table import NodeSettings
from tmpnb_common.wire import TRIAL_SECONDS


def render(settings: NodeSettings, *, as_root: bool, connections: int) -> str:
    """The whole configuration. `connections` is how many one worker may hold, those to sandboxes included."""
    bounds = shares(connections)
    return _fill(
        "nginx",
        **_values(settings),
        as_root=as_root,
        connections=connections,
        requests_of_one=bounds.one,
        requests_of_all=bounds.all,
        requests_of_stranger=bounds.stranger,
    )


def until_certified(settings: NodeSettings, *, as_root: bool) -> str:
    """A whole configuration with nothing but the plain server, for a node that waits for its first certificate."""
    return _fill("until_certified", **_values(settings), as_root=as_root)


def _values(settings: NodeSettings) -> dict[str, Any]:
    address = urlsplit(settings.url)
    apart = settings.origin == "sandbox"
    host = re.escape((address.hostname or "").lower())
    return {
        "apart": apart,
        "servers": _servers(host) if apart else [("_", ["sandboxes", "shared", "agent"])],
        "run": settings.run,
        "socket_name": SOCKET_NAME,
        "proxy_user": settings.proxy_user,
        "access_log": settings.access_log,
        "trial_seconds": TRIAL_SECONDS + 10,
        # Bytes; 1 where there are no contents, for 0 would be no limit at all.
        "blob_bytes": settings.content_blob_bytes if settings.content_bytes else 1,
        # Seconds that any session may last.
        "max_age_seconds": max(int(pool.life.max_age) for pool in settings.pools),
        "frame_ancestors": " ".join(("'self'", *settings.frame_ancestors)),
        # Pages that another site's page, or a redirect, puts into a frame: see nginx.conf.
        "framing_sites": " ".join(settings.frame_ancestors) or "'none'",
        "common_headers": headers.common(settings),
        "toward_sandbox": headers.toward_sandbox(settings),
        "listen": tls.listen_lines(settings),
        "hsts": tls.header_lines(settings),
        "http_listen": tls.place(settings.http_listen) if settings.http_listen else "",
        "acme_dir": settings.acme_dir,
        "port": f":{address.port}" if address.port else "",
        "scheme": address.scheme,
        "netloc": address.netloc,
        "own_origin": re.escape(f"{address.scheme}://{address.netloc}"),
        "any_origin": settings.allow_origin == ("*",),
        "listed_origins": settings.allow_origin,
        "entry_url": settings.entry_url,
        "shared_base": settings.url if apart else "",
        "head": (
            f'<head><script src="{script_path("sandbox")}" data-entry="{settings.entry_url}"'
            f' data-origin="{settings.origin}"></script>'
        ),
    }


def _servers(host: str) -> Sequence[tuple[str, Sequence[str]]]:
    """Each server's names, and the templates that it is made of, where sandboxes have hosts below the node's."""
    return [
        ("_", ["moved", "shared", "agent"]),
        (f'"~^(?<host_name>[a-z2-7]{{8}})[.]{host}$"', ["own_host", "sandboxes", "shared"]),
    ]


def _lines(lines: Sequence[str], width: int) -> str:
    """Directives one below the other, `width` characters in from the second one on."""
    return f"\n{' ' * width}".join(lines)


def _fill(name: str, **values: Any) -> str:
    # nginx's configuration is no markup; every value was checked as a setting.
    environment = Environment(
        loader=PackageLoader(__name__),
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["lines"] = _lines
    text = environment.get_template(f"{name}.conf").render(values)
    # What a value or a part left empty leaves no mark.
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" +$", "", text, flags=re.MULTILINE))
