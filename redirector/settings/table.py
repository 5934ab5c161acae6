"""Every setting of the redirector, read in one place, with all problems reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redirector.errors import FleetConfigError
from redirector.model.clients import Network, Width
from redirector.model.operators import parse_token, tokens_problem
from redirector.settings import values
from redirector.settings.values import (
    TOKENS_AT_ONCE,
    existing_directory,
    listen_address,
    named_tokens,
    networks,
    readable_file,
    state_directory,
    tokens,
    url,
    widths,
)
from tmpnb_common import settings
from tmpnb_common.log_lines import Style
from tmpnb_common.settings import count, one_of, rows_of, seconds, secrets_in_file, setting, sites, size, switch

PREFIX = "TMPNB_"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectorSettings:
    """What the redirector runs with."""

    listen: str = setting(
        listen_address,
        "127.0.0.1:8000",
        "HOST:PORT",
        "Where gunicorn listens. Loopback, since a proxy with TLS belongs in front.",
    )
    workers: int = setting(
        count(1, 64), "2", "processes", "One per core: placing a visitor costs the redirector mostly computing time."
    )
    threads: int = setting(
        count(1, 256),
        "16",
        "threads a worker",
        "Visitors that one worker places at a time: each waits for a node, so several fit on one core.",
    )
    state: Path = setting(state_directory, ".tmpnb", "directory", "What has to last: the embedded database.")
    database_url: str = setting(
        values.database_url,
        "",
        "URL",
        "Empty: fleet.db in the state directory (SQLite), which carries one host. postgresql://… carries several.",
        secret=True,
    )
    """May hold a password."""
    admin_tokens: tuple[str, ...] = setting(
        named_tokens,
        "",
        "token",
        "Opens the admin API; without any token it stays closed. Two, with a space between, are both valid; "
        "so is any number with names before them (ann=…), which the history has then.",
        secret=True,
        name="ADMIN_TOKEN",
        from_file=secrets_in_file(named_tokens),
        file_reason="The same from a file, a token a line, which keeps tokens out of process listings.",
    )
    """None at all: the admin API is closed."""
    read_tokens: tuple[str, ...] = setting(
        tokens,
        "",
        "token",
        "For Prometheus and screens: shows what the admin API and the dashboard show, and changes nothing.",
        secret=True,
        name="READ_TOKEN",
        from_file=secrets_in_file(tokens),
        file_reason="The same from a file with one or two lines.",
    )
    join_tokens: tuple[str, ...] = setting(
        tokens,
        "",
        "token",
        "Lets nodes join by themselves (tmpnb-agent serve --join), and nothing else. Two are both valid. Empty: none.",
        secret=True,
        name="JOIN_TOKEN",
        from_file=secrets_in_file(tokens),
        file_reason="The same from a file with one or two lines.",
    )
    """None at all: no node joins by itself."""
    entry_url: str = setting(
        url, "", "URL", "The public address of the redirector, for pages and messages. Empty: as each request names it."
    )
    trusted_proxies: int = setting(
        count(0, 8),
        "0",
        "proxies",
        "How many proxies in front add X-Forwarded-… headers. 0 ignores these headers, since anyone can send them.",
    )
    allow_origin: tuple[str, ...] = setting(
        sites,
        "",
        "origins",
        "Sites whose pages may launch notebooks and read all answers (CORS): origins, or *. Empty: none.",
    )
    poll_seconds: float = setting(
        seconds(0.1, 60),
        "2",
        "seconds",
        "How often every node is asked for its stats. A dead node is out of use for all workers within this and 1 s.",
    )
    poll_timeout_seconds: float = setting(
        seconds(0.1, 30),
        "1.5",
        "seconds",
        "A node answers its stats from memory in milliseconds; longer than this, whole answer included, is a bad poll.",
    )
    claim_timeout_seconds: float = setting(
        seconds(0.1, 30),
        "1.5",
        "seconds",
        "How long one node's answer to a claim is waited for at most. While another one has room, 0.4 s, and after "
        "each one that did not answer half of that, 0.1 s at least.",
    )
    place_seconds: float = setting(
        seconds(1, 60),
        "8",
        "seconds",
        "How long a visitor waits for all of it: after that an honest page beats a browser that spins.",
    )
    gunicorn_conf: Path | None = setting(
        readable_file,
        "",
        "file",
        "What else to tell gunicorn, such as deploy/gunicorn.conf.py; wins over all of the above. Read again on HUP.",
    )
    waiting_limit: int = setting(
        count(0, 100_000),
        "2000",
        "visitors",
        "How many may wait for a sandbox when all are in use; more are asked to come back later. 0: nobody waits.",
    )
    """Visitors in the waiting room, all pools together."""
    waiting_per_client: int = setting(
        count(0, 100_000),
        "100",
        "visitors",
        "How many of them one client address may be, so that nobody fills the waiting room: a class fits. 0: any.",
    )
    """Of those, how many one client address may hold; 0: no limit."""
    signing_keys: tuple[str, ...] = setting(
        tokens,
        "",
        "key",
        "Signs visitors' cookies. The first of two, with a space between, signs; both are valid. Empty: made here.",
        secret=True,
        name="SIGNING_KEY",
        from_file=secrets_in_file(tokens),
        file_reason="The same from a file with one or two lines.",
    )
    """None at all: the fleet's own, from the database."""
    client_burst: int = setting(
        count(0, 1_000_000),
        "100",
        "sandboxes",
        "What one client address gets at once: a classroom behind one address is normal. Beyond it, it queues. 0: any.",
    )
    client_per_minute: int = setting(
        count(1, 1_000_000),
        "60",
        "sandboxes a minute",
        "What one client address gets in the long run, from each redirector host.",
    )
    client_free: tuple[Network, ...] = setting(
        networks,
        "127.0.0.0/8 ::1/128",
        "networks",
        "Addresses without such limits: your own networks, schools that you know. As shipped, this host alone.",
    )
    """Addresses without limits."""
    client_networks: tuple[Width, ...] = setting(
        widths,
        "64:100 56:120 48:140",
        "prefix:percent",
        "What IPv6 clients are counted under, each with its part of the limits: one person may have a whole /48.",
    )
    """What IPv6 clients are counted under, the narrowest network first."""
    frame_ancestors: tuple[str, ...] = setting(
        sites,
        "",
        "origins",
        "Sites that may show the entry and the waiting room in a frame, or *. Empty: none. Nodes have one too.",
    )
    templates_dir: Path | None = setting(
        existing_directory,
        "",
        "directory",
        "Templates in here are used instead of the redirector's own pages of the same name. See docs/pages.md.",
    )
    min_free_percent: int = setting(
        count(0, 100),
        "10",
        "percent",
        "A drain or removal after which less than this part of the fleet is free needs --force. 0 never minds.",
    )
    """Of the fleet's capacity: a drain or removal that leaves less free is refused unless forced."""
    check_public_urls: bool = setting(
        switch,
        "1",
        "1 or 0",
        "1: a node with a control URL gets visitors only while its public URL answers this redirector, too. 0 where "
        "visitors reach addresses that it cannot.",
    )
    status_page: bool = setting(
        switch,
        "0",
        "1 or 0",
        "1 lets everyone see at /status how many sandboxes are free and in use. It names no node.",
    )
    content_worker: bool = setting(
        switch,
        "1",
        "1 or 0",
        "1: `tmpnb serve` starts the worker too, which fetches contents and sends them to the nodes. 0 where `tmpnb "
        "worker` runs by itself, or nobody needs contents.",
    )
    blobs: str = setting(
        values.blob_store,
        "",
        "URL",
        "Where fetched contents are kept. Empty: the directory blobs in the state directory. s3://bucket/prefix for "
        "several redirector hosts, with the credentials in the variables that AWS names.",
    )
    blobs_limit: int = setting(
        size(0), "20g", "size", "How much they may take there; what no content has any more goes first."
    )
    content_bytes: int = setting(size(1), "2g", "size", "The largest content that is fetched, unpacked.")
    content_files: int = setting(
        count(1, 10_000), "10000", "files", "The most files that a content may have; nodes take no more."
    )
    content_networks: tuple[Network, ...] = setting(
        networks,
        "",
        "networks",
        "Private networks that contents may come from, such as an intranet's forge. Empty: public addresses alone.",
    )
    content_seconds: float = setting(seconds(5, 3600), "300", "seconds", "How long the fetch of one content may take.")
    content_check_seconds: float = setting(
        seconds(5, 86_400), "300", "seconds", "How often each content's source is asked whether it has changed."
    )
    streams_listen: str = setting(
        values.streams_address,
        "",
        "address",
        "Where event streams are served, by which pages of other sites launch notebooks: unix:/path or HOST:PORT, to "
        "which a proxy in front passes /build/. Empty: nowhere.",
    )
    streams: int = setting(
        count(1, 100_000), "10000", "streams", "How many event streams may be open; each is one file of the process."
    )
    streams_per_client: int = setting(
        count(0, 100_000),
        "200",
        "streams",
        "How many of them one client address may have: two for each in a class. 0: any.",
    )
    log_level: str = setting(
        values.log_level, "info", "level", "debug, info, warning or error. At info, changes are logged, not states."
    )
    log_format: Style = setting(
        one_of("text", "json"),
        "text",
        "format",
        "text: key=value, for eyes and grep. json: an object a line, for a log store.",
    )


TABLE = rows_of(RedirectorSettings, PREFIX)


def load(environment: Mapping[str, str]) -> RedirectorSettings:
    """Read the settings.

    Raises:
        FleetConfigError: with everything that is wrong, not only the first.
    """
    fields, problems = settings.load(TABLE, {name: text.strip() for name, text in environment.items()})
    problems += [
        f"{name} and {name}_FILE hold more than two tokens together"
        for held, name in (
            ("read_tokens", "TMPNB_READ_TOKEN"),
            ("join_tokens", "TMPNB_JOIN_TOKEN"),
            ("signing_keys", "TMPNB_SIGNING_KEY"),
        )
        if len(fields.get(held, ())) > TOKENS_AT_ONCE
    ]
    if problem := tokens_problem(fields.get("admin_tokens", ()), TOKENS_AT_ONCE):
        problems.append(f"TMPNB_ADMIN_TOKEN and TMPNB_ADMIN_TOKEN_FILE together: this {problem}")
    if {parse_token(word).token for word in fields.get("admin_tokens", ())} & set(fields.get("read_tokens", ())):
        problems.append("TMPNB_READ_TOKEN is an admin token as well: what changes nothing needs a token of its own")
    if fields.get("streams_listen") and not fields.get("trusted_proxies"):
        problems.append("TMPNB_STREAMS_LISTEN needs a proxy in front that says who comes: set TMPNB_TRUSTED_PROXIES")
    if problems:
        raise FleetConfigError(problems)
    fields["database_url"] = fields["database_url"] or f"sqlite:///{fields['state'] / 'fleet.db'}"
    return RedirectorSettings(**fields)
