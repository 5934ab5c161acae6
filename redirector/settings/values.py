"""How the text of a setting that only the redirector has becomes its value; `tmpnb_common.settings` has the others."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from redirector.errors import BadRequestError
from redirector.model.clients import NIBBLE, Network, Width
from redirector.model.node_names import normalised_url
from redirector.model.operators import TOKEN, tokens_problem
from tmpnb_common.settings import one_of

TOKENS_AT_ONCE = 2
"""So that a token can be changed without a moment in which none is valid."""


def listen_address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError("is no address to listen on; it looks like 127.0.0.1:8000 or [::]:8000")
    return text


def streams_address(text: str) -> str:
    if text.startswith("unix:/") or not text:
        return text
    try:
        return listen_address(text)
    except ValueError:
        raise ValueError("is no place to listen at; it looks like unix:/run/streams.sock or 127.0.0.1:8001") from None


def state_directory(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("has to name a directory")
    return Path(text).absolute()


def readable_file(text: str) -> Path | None:
    if not text:
        return None
    try:
        Path(text).read_bytes()
    except OSError as error:
        raise ValueError(f"names the file {text!r}, which cannot be read: {error.strerror}") from None
    return Path(text).absolute()


def database_url(text: str) -> str:
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


def tokens(text: str) -> tuple[str, ...]:
    words = tuple(text.split())
    if len(words) > TOKENS_AT_ONCE:
        raise ValueError(f"holds {len(words)} tokens; at most two are valid at a time")
    if not all(TOKEN.fullmatch(word) for word in words):
        raise ValueError("has to hold tokens of 16 to 512 printable ASCII characters")
    return words


def named_tokens(text: str) -> tuple[str, ...]:
    """As they are written, each with its name if it has one."""
    words = tuple(text.split())
    if problem := tokens_problem(words, TOKENS_AT_ONCE):
        raise ValueError(problem)
    return words


def url(text: str) -> str:
    if not text:
        return ""
    try:
        return normalised_url(text)
    except BadRequestError:
        raise ValueError("has to be a plain http:// or https:// address") from None


def networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part) for part in text.split())
    except ValueError as error:
        raise ValueError(f"has to be networks such as 192.0.2.0/24, with spaces between: {error}") from None


def widths(text: str) -> tuple[Width, ...]:
    """Prefix lengths with percentages, from the narrowest network to the widest."""
    parsed: list[Width] = []
    for part in text.split():
        bits, colon, percent = part.partition(":")
        if not (colon and all(number.isascii() and number.isdigit() for number in (bits, percent))):
            parsed = []
            break
        parsed.append(Width(int(bits), int(percent)))
    sizes = [width.bits for width in parsed]
    sane = all(16 <= width.bits <= 128 and width.bits % NIBBLE == 0 and width.percent >= 1 for width in parsed)  # noqa: PLR2004 - IPv6's
    if not sane or not sizes or sizes != sorted(set(sizes), reverse=True):
        raise ValueError("has to be prefix lengths with percentages, the longest first, such as 64:100 48:140")
    return tuple(parsed)


def existing_directory(text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_dir():
        raise ValueError(f"names the directory {text!r}, which is not there")
    return Path(text).absolute()


def blob_store(text: str) -> str:
    if text and not text.startswith(("s3://", "gs://", "az://", "file:///")):
        raise ValueError("has to begin with s3://, gs://, az:// or file:///")
    return text


def log_level(text: str) -> str:
    return one_of("debug", "info", "warning", "error")(text.lower()).upper()
