"""Every setting of the redirector: one table, read in one place, with all problems reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redirector.errors import BadRequestError, ConfigError
from redirector.model.clients import NIBBLE, Network, Width
from redirector.model.nodes import normalised_url
from redirector.model.operators import TOKEN, parse_token, tokens_problem
from tmpnb_common.log_lines import Style

TOKENS_AT_ONCE = 2
"""So that a token can be changed without a moment in which none is valid."""

SECRETS = {
    "admin_tokens": "TMPNB_ADMIN_TOKEN",
    "read_tokens": "TMPNB_READ_TOKEN",
    "join_tokens": "TMPNB_JOIN_TOKEN",
    "signing_keys": "TMPNB_SIGNING_KEY",
}
"""Fields that have two settings each: the secrets themselves, and a file of them."""

SITE = re.compile(r"\*|https?://[A-Za-z0-9.:*\[\]-]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    default: str
    unit: str
    reason: str
    field: str
    parse: Callable[[str], Any]
    """Raises ValueError with a sentence that goes on from the setting's name, and never repeats a secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the redirector runs with."""

    listen: str
    workers: int
    threads: int
    state: Path
    database_url: str = field(repr=False)
    """May hold a password."""
    admin_tokens: tuple[str, ...] = field(repr=False)
    """None at all: the admin API is closed."""
    read_tokens: tuple[str, ...] = field(repr=False)
    join_tokens: tuple[str, ...] = field(repr=False)
    """None at all: no node joins by itself."""
    entry_url: str
    trusted_proxies: int
    allow_origin: tuple[str, ...]
    poll_seconds: float
    poll_timeout_seconds: float
    claim_timeout_seconds: float
    place_seconds: float
    gunicorn_conf: Path | None
    waiting_limit: int
    """Visitors in the waiting room, all pools together."""
    waiting_per_client: int
    """Of those, how many one client address may hold; 0: no limit."""
    signing_keys: tuple[str, ...] = field(repr=False)
    """None at all: the fleet's own, from the database."""
    client_burst: int
    client_per_minute: int
    client_free: tuple[Network, ...]
    """Addresses without limits."""
    client_networks: tuple[Width, ...]
    """What IPv6 clients are counted under, the narrowest network first."""
    frame_ancestors: tuple[str, ...]
    templates_dir: Path | None
    min_free_percent: int
    """Of the fleet's capacity: a drain or removal that leaves less free is refused unless forced."""
    check_public_urls: bool
    status_page: bool
    log_level: str
    log_format: Style


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError("is no address to listen on; it looks like 127.0.0.1:8000 or [::]:8000")
    return text


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"has to be a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not least <= value <= most:
            raise ValueError(f"has to be a number of seconds from {least:g} to {most:g}")
        return value

    return parse


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("has to name a directory")
    return Path(text).absolute()


def _file_or_none(text: str) -> Path | None:
    if not text:
        return None
    try:
        Path(text).read_bytes()
    except OSError as error:
        raise ValueError(f"names the file {text!r}, which cannot be read: {error.strerror}") from None
    return Path(text).absolute()


def _database_url(text: str) -> str:
    """PostgreSQL is reached by psycopg: the plain scheme that other tools use means the same."""
    if not text:
        return ""
    scheme, colon, rest = text.partition("://")
    if scheme in ("postgresql", "postgres"):
        scheme = "postgresql+psycopg"
    if not colon or scheme not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("has to start with sqlite:/// or postgresql://")
    if scheme == "sqlite" and not rest.strip("/"):
        raise ValueError("has to name a file: a database in memory cannot be shared by workers")
    return f"{scheme}://{rest}"


def _tokens(text: str) -> tuple[str, ...]:
    tokens = tuple(text.split())
    if len(tokens) > TOKENS_AT_ONCE:
        raise ValueError(f"holds {len(tokens)} tokens; at most two are valid at a time")
    if not all(TOKEN.fullmatch(token) for token in tokens):
        raise ValueError("has to hold tokens of 16 to 512 printable ASCII characters")
    return tokens


def _named_tokens(text: str) -> tuple[str, ...]:
    """As they are written, each with its name if it has one."""
    words = tuple(text.split())
    if problem := tokens_problem(words, TOKENS_AT_ONCE):
        raise ValueError(problem)
    return words


def _token_file(text: str) -> tuple[str, ...]:
    return _tokens_in(text, _tokens)


def _named_token_file(text: str) -> tuple[str, ...]:
    return _tokens_in(text, _named_tokens)


def _tokens_in(text: str, parse: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    if not text:
        return ()
    try:
        found = parse(Path(text).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"names the file {text!r}, which cannot be read: {reason}") from None
    if not found:
        raise ValueError(f"names the file {text!r}, which is empty")
    return found


def _url(text: str) -> str:
    if not text:
        return ""
    try:
        return normalised_url(text)
    except BadRequestError:
        raise ValueError("has to be a plain http:// or https:// address") from None


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.split())
    for origin in origins:
        parts = urlsplit(origin)
        plain = parts.scheme in ("http", "https") and parts.hostname and not (parts.path or parts.query)
        if origin != "*" and not plain:
            raise ValueError("has to be * or origins such as https://docs.example.org, with spaces between")
    return origins


def _sites(text: str) -> tuple[str, ...]:
    """Origins that stand in a header, where `;` and `,` would end them."""
    sites = _origins(text)
    if any(not SITE.fullmatch(site) for site in sites):
        raise ValueError("has to be * or origins such as https://docs.example.org, with spaces between")
    return sites


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part) for part in text.split())
    except ValueError as error:
        raise ValueError(f"has to be networks such as 192.0.2.0/24, with spaces between: {error}") from None


def _widths(text: str) -> tuple[Width, ...]:
    """Prefix lengths with percentages, from the narrowest network to the widest."""
    widths: list[Width] = []
    for part in text.split():
        bits, colon, percent = part.partition(":")
        if not (colon and all(number.isascii() and number.isdigit() for number in (bits, percent))):
            widths = []
            break
        widths.append(Width(int(bits), int(percent)))
    sizes = [width.bits for width in widths]
    sane = all(16 <= width.bits <= 128 and width.bits % NIBBLE == 0 and width.percent >= 1 for width in widths)  # noqa: PLR2004 - IPv6's
    if not sane or not sizes or sizes != sorted(set(sizes), reverse=True):
        raise ValueError("has to be prefix lengths with percentages, the longest first, such as 64:100 48:140")
    return tuple(widths)


def _directory_or_none(text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_dir():
        raise ValueError(f"names the directory {text!r}, which is not there")
    return Path(text).absolute()


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("has to be 1 (on) or 0 (off)")
    return text == "1"


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError("has to be text or json")
    return text


def _log_level(text: str) -> str:
    level = text.upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("has to be debug, info, warning or error")
    return level


TABLE = (
    Setting(
        "TMPNB_LISTEN",
        "127.0.0.1:8000",
        "HOST:PORT",
        "Where gunicorn listens. Loopback, since a proxy with TLS belongs in front.",
        "listen",
        _listen,
    ),
    Setting(
        "TMPNB_WORKERS",
        "2",
        "processes",
        "One per core: placing a visitor costs the redirector mostly computing time.",
        "workers",
        _whole(1, 64),
    ),
    Setting(
        "TMPNB_THREADS",
        "16",
        "threads a worker",
        "Visitors that one worker places at a time: each waits for a node, so several fit on one core.",
        "threads",
        _whole(1, 256),
    ),
    Setting(
        "TMPNB_STATE",
        ".tmpnb",
        "directory",
        "What has to last: the embedded database.",
        "state",
        _path,
    ),
    Setting(
        "TMPNB_DATABASE_URL",
        "",
        "URL",
        "Empty: fleet.db in the state directory (SQLite), which carries one host. postgresql://… carries several.",
        "database_url",
        _database_url,
    ),
    Setting(
        "TMPNB_ADMIN_TOKEN",
        "",
        "token",
        "Opens the admin API; without any token it stays closed. Two, with a space between, are both valid; "
        "so is any number with names before them (ann=…), which the history has then.",
        "admin_tokens",
        _named_tokens,
    ),
    Setting(
        "TMPNB_ADMIN_TOKEN_FILE",
        "",
        "file",
        "The same from a file, a token a line, which keeps tokens out of process listings.",
        "admin_tokens",
        _named_token_file,
    ),
    Setting(
        "TMPNB_READ_TOKEN",
        "",
        "token",
        "For Prometheus and screens: shows what the admin API and the dashboard show, and changes nothing.",
        "read_tokens",
        _tokens,
    ),
    Setting(
        "TMPNB_READ_TOKEN_FILE",
        "",
        "file",
        "The same from a file with one or two lines.",
        "read_tokens",
        _token_file,
    ),
    Setting(
        "TMPNB_JOIN_TOKEN",
        "",
        "token",
        "Lets nodes join by themselves (tmpnb-agent serve --join), and nothing else. Two are both valid. Empty: none.",
        "join_tokens",
        _tokens,
    ),
    Setting(
        "TMPNB_JOIN_TOKEN_FILE",
        "",
        "file",
        "The same from a file with one or two lines.",
        "join_tokens",
        _token_file,
    ),
    Setting(
        "TMPNB_ENTRY_URL",
        "",
        "URL",
        "The public address of the redirector, for pages and messages. Empty: as each request names it.",
        "entry_url",
        _url,
    ),
    Setting(
        "TMPNB_TRUSTED_PROXIES",
        "0",
        "proxies",
        "How many proxies in front add X-Forwarded-… headers. 0 ignores these headers, since anyone can send them.",
        "trusted_proxies",
        _whole(0, 8),
    ),
    Setting(
        "TMPNB_ALLOW_ORIGIN",
        "",
        "origins",
        "Sites whose pages may call /api/spawn (CORS): origins with spaces between, or *. Empty: none.",
        "allow_origin",
        _origins,
    ),
    Setting(
        "TMPNB_POLL_SECONDS",
        "2",
        "seconds",
        "How often every node is asked for its stats. A dead node is out of use for all workers within this and 1 s.",
        "poll_seconds",
        _seconds(0.1, 60),
    ),
    Setting(
        "TMPNB_POLL_TIMEOUT_SECONDS",
        "1.5",
        "seconds",
        "A node answers its stats from memory in milliseconds; longer than this, whole answer included, is a bad poll.",
        "poll_timeout_seconds",
        _seconds(0.1, 30),
    ),
    Setting(
        "TMPNB_CLAIM_TIMEOUT_SECONDS",
        "1.5",
        "seconds",
        "How long one node's answer to a claim is waited for at most. While another one has room, 0.4 s.",
        "claim_timeout_seconds",
        _seconds(0.1, 30),
    ),
    Setting(
        "TMPNB_PLACE_SECONDS",
        "8",
        "seconds",
        "How long a visitor waits for all of it: after that an honest page beats a browser that spins.",
        "place_seconds",
        _seconds(1, 60),
    ),
    Setting(
        "TMPNB_GUNICORN_CONF",
        "",
        "file",
        "What else to tell gunicorn, such as deploy/gunicorn.conf.py; wins over all of the above. Read again on HUP.",
        "gunicorn_conf",
        _file_or_none,
    ),
    Setting(
        "TMPNB_WAITING_LIMIT",
        "2000",
        "visitors",
        "How many may wait for a sandbox when all are in use; more are asked to come back later. 0: nobody waits.",
        "waiting_limit",
        _whole(0, 100_000),
    ),
    Setting(
        "TMPNB_WAITING_PER_CLIENT",
        "100",
        "visitors",
        "How many of them one client address may be, so that nobody fills the waiting room: a class fits. 0: any.",
        "waiting_per_client",
        _whole(0, 100_000),
    ),
    Setting(
        "TMPNB_SIGNING_KEY",
        "",
        "key",
        "Signs visitors' cookies. The first of two, with a space between, signs; both are valid. Empty: made here.",
        "signing_keys",
        _tokens,
    ),
    Setting(
        "TMPNB_SIGNING_KEY_FILE",
        "",
        "file",
        "The same from a file with one or two lines.",
        "signing_keys",
        _token_file,
    ),
    Setting(
        "TMPNB_CLIENT_BURST",
        "100",
        "sandboxes",
        "What one client address gets at once: a classroom behind one address is normal. Beyond it, it queues. 0: any.",
        "client_burst",
        _whole(0, 1_000_000),
    ),
    Setting(
        "TMPNB_CLIENT_PER_MINUTE",
        "60",
        "sandboxes a minute",
        "What one client address gets in the long run, from each redirector host.",
        "client_per_minute",
        _whole(1, 1_000_000),
    ),
    Setting(
        "TMPNB_CLIENT_FREE",
        "127.0.0.0/8 ::1/128",
        "networks",
        "Addresses without such limits: your own networks, schools that you know. As shipped, this host alone.",
        "client_free",
        _networks,
    ),
    Setting(
        "TMPNB_CLIENT_NETWORKS",
        "64:100 56:120 48:140",
        "prefix:percent",
        "What IPv6 clients are counted under, each with its part of the limits: one person may have a whole /48.",
        "client_networks",
        _widths,
    ),
    Setting(
        "TMPNB_FRAME_ANCESTORS",
        "",
        "origins",
        "Sites that may show the entry and the waiting room in a frame, or *. Empty: none. Nodes have one too.",
        "frame_ancestors",
        _sites,
    ),
    Setting(
        "TMPNB_TEMPLATES_DIR",
        "",
        "directory",
        "Templates in here are used instead of the redirector's own pages of the same name. See docs/pages.md.",
        "templates_dir",
        _directory_or_none,
    ),
    Setting(
        "TMPNB_MIN_FREE_PERCENT",
        "10",
        "percent",
        "A drain or removal after which less than this part of the fleet is free needs --force. 0 never minds.",
        "min_free_percent",
        _whole(0, 100),
    ),
    Setting(
        "TMPNB_CHECK_PUBLIC_URLS",
        "1",
        "1 or 0",
        "1: a node with a control URL gets visitors only while its public URL answers this redirector, too. 0 where "
        "visitors reach addresses that it cannot.",
        "check_public_urls",
        _switch,
    ),
    Setting(
        "TMPNB_STATUS_PAGE",
        "0",
        "1 or 0",
        "1 lets everyone see at /status how many sandboxes are free and in use. It names no node.",
        "status_page",
        _switch,
    ),
    Setting(
        "TMPNB_LOG_LEVEL",
        "info",
        "level",
        "debug, info, warning or error. At info, changes are logged, not states.",
        "log_level",
        _log_level,
    ),
    Setting(
        "TMPNB_LOG_FORMAT",
        "text",
        "format",
        "text: key=value, for eyes and grep. json: an object a line, for a log store.",
        "log_format",
        _log_format,
    ),
)


def read(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment.

    Raises:
        ConfigError: with every problem there is.
    """
    values: dict[str, Any] = {}
    problems = []
    for setting in TABLE:
        try:
            value = setting.parse(environ.get(setting.name, setting.default).strip())
        except ValueError as error:
            problems.append(f"{setting.name} {error}")
            continue
        if setting.field in SECRETS:
            # Both sources count, so that a token can move from one to the other.
            value = tuple(dict.fromkeys((*values.get(setting.field, ()), *value)))
        values[setting.field] = value
    problems += [
        f"{name} and {name}_FILE hold more than two tokens together"
        for held, name in SECRETS.items()
        if held != "admin_tokens" and len(values.get(held, ())) > TOKENS_AT_ONCE
    ]
    if problem := tokens_problem(values.get("admin_tokens", ()), TOKENS_AT_ONCE):
        problems.append(f"TMPNB_ADMIN_TOKEN and TMPNB_ADMIN_TOKEN_FILE together: this {problem}")
    if {parse_token(word).token for word in values.get("admin_tokens", ())} & set(values.get("read_tokens", ())):
        problems.append("TMPNB_READ_TOKEN is an admin token as well: what changes nothing needs a token of its own")
    if problems:
        raise ConfigError(problems)
    values["database_url"] = values["database_url"] or f"sqlite:///{values['state'] / 'fleet.db'}"
    return Settings(**values)
