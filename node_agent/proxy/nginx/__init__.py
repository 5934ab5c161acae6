"""Renders nginx's configuration: settings in, text out. What a sandbox answers is hostile, and stopped here.

The parts are templates beside this file. One server serves all in origin mode `node`; in mode `sandbox` there is one
for the node's own host, and one for all hosts whose names are a sandbox's below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from urllib.parse import urlsplit

from node_agent.pages import script_path
from node_agent.proxy.nginx import headers, tls
from node_agent.proxy.nginx.shares import shares
from node_agent.settings.table import Settings
from tmpnb_common.wire import TRIAL_SECONDS


class _NginxTemplate(Template):
    """`@{name}`, for `$` is nginx's own; `@@` is an @."""

    delimiter = "@"


def render(settings: Settings, *, as_root: bool, connections: int) -> str:
    """The whole configuration. `connections` is how many one worker may hold, those to sandboxes included."""
    bounds = shares(connections)
    values = _values(settings) | {"requests_of_one": str(bounds.one), "requests_of_all": str(bounds.all)}
    servers = "\n\n".join(_server(settings, values, name, parts) for name, parts in _SERVERS[settings.origin])
    return _fill(
        "nginx",
        values
        | {
            "user": f"user {settings.proxy_user};" if as_root else "",
            "connections": str(connections),
            # `off` would switch off the other log as well.
            "access_log": "" if settings.access_log == "off" else f"access_log {settings.access_log} plain;",
            "own_origin": re.escape("{0.scheme}://{0.netloc}".format(urlsplit(settings.url))),
            "listed_origins": _listed_origins(settings),
            "cors_origin": '"*"' if settings.allow_origin == ("*",) else "$http_origin",
            "plain_server": "\n".join(tls.plain_server(settings)),
            "servers": servers,
        },
    )


_SERVERS: Mapping[str, Sequence[tuple[str, Sequence[str]]]] = {
    "node": [("_", ("sandboxes", "shared", "agent"))],
    "sandbox": [
        ("_", ("moved", "shared", "agent")),
        ('"~^(?<host_name>[a-z2-7]{8})[.]@{host_pattern}$"', ("own_host", "sandboxes", "shared")),
    ],
}
"""By origin mode: each server's names, and the templates that it is made of."""


def _server(settings: Settings, values: Mapping[str, str], name: str, parts: Sequence[str]) -> str:
    given = {
        **values,
        "listen": "\n".join(tls.listen_lines(settings)),
        "server_name": _NginxTemplate(name).substitute(values),
        "only_here": "if ($sandbox != $host_name) {\n    return 404;\n}" if settings.origin == "sandbox" else "",
    }
    return _fill("server", given | {"locations": "\n\n".join(_fill(part, given) for part in parts)})


def _values(settings: Settings) -> dict[str, str]:
    """What several templates share."""
    address = urlsplit(settings.url)
    return {
        "run_dir": str(settings.run_dir),
        "trial_seconds": str(TRIAL_SECONDS + 10),
        "max_age_seconds": _longest(settings),
        "frame_ancestors": " ".join(("'self'", *settings.frame_ancestors)),
        "common_headers": "\n".join(headers.common(settings)),
        "streams": _fill("streams", {"max_age_seconds": _longest(settings)}),
        "no_service_worker": "\n".join(headers.no_service_worker(settings)),
        "toward_sandbox": "\n".join(headers.toward_sandbox(settings)),
        "hsts": "\n".join(tls.header_lines(settings)),
        "scheme": address.scheme,
        "netloc": address.netloc,
        "host_pattern": re.escape((address.hostname or "").lower()),
        "entry_url": settings.entry_url,
        "shared_base": settings.url if settings.origin == "sandbox" else "",
        "head": (
            f'<head><script src="{script_path("sandbox")}" data-entry="{settings.entry_url}"'
            f' data-origin="{settings.origin}"></script>'
        ),
        # Pages that another site's page, or a redirect, puts into a frame: see nginx.conf.in.
        "framing_sites": " ".join(settings.frame_ancestors) or "'none'",
    }


def _longest(settings: Settings) -> str:
    """Seconds that any session may last."""
    return str(max(int(pool.life.max_age) for pool in settings.pools))


def _listed_origins(settings: Settings) -> str:
    if settings.allow_origin == ("*",):
        return "default 1;"
    return "\n".join([*(f'"{origin}" 1;' for origin in settings.allow_origin), "default 0;"])


def _fill(name: str, values: Mapping[str, str]) -> str:
    """A template with its values, each of their lines as far in as the place that it stands in."""
    text = resources.files(__name__).joinpath(f"{name}.conf.in").read_text(encoding="utf-8")
    lines = []
    for line in text.rstrip("\n").split("\n"):
        inner = line.lstrip(" ")
        indent = line[: len(line) - len(inner)]
        filled = _NginxTemplate(inner).substitute(values)
        lines += [f"{indent}{each}".rstrip() for each in filled.split("\n")]
    return "\n".join(lines) + ("\n" if name == "nginx" else "")
