"""How the text of a setting that only the node has becomes its value; `tmpnb_common.settings` has the others.

What ends up in nginx's configuration is checked here so tightly that it needs no quoting there.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from node_agent.directories import SOCKET_PATH_LIMIT, RunDirectory
from node_agent.jupyter import command
from tmpnb_common.landing import MOST_PREFIXES
from tmpnb_common.landing import PREFIX as PREFIX_OF_PATH
from tmpnb_common.settings import sites

PREFIX = "TMPNB_NODE_"

IMAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")

POOL_NAME = r"[a-z][a-z0-9-]{0,30}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where nginx listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def prefixes(text: str) -> tuple[str, ...]:
    """First parts of paths, with spaces between."""
    parts = tuple(text.split())
    if len(parts) > MOST_PREFIXES or not all(PREFIX_OF_PATH.fullmatch(part) for part in parts):
        raise ValueError(f"has to be at most {MOST_PREFIXES} first parts of paths such as voila, with spaces between")
    return parts


def address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[0-9a-zA-Z.:-]+", host) or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise ValueError(f"is {text!r:.60}, not HOST:PORT such as 127.0.0.1:8101")
    return Address(host, int(port))


def http_url(text: str) -> str:
    parts = urlsplit(text)
    if not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*)?", text) or not parts.hostname:
        raise ValueError(f"is {text!r:.60}, not an address such as https://node1.example.org")
    return text.rstrip("/")


def optional_http_url(text: str) -> str:
    return http_url(text) if text else ""


def directory(text: str) -> Path:
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", text) or ".." in text.split("/"):
        raise ValueError(f"is {text!r:.80}, not an absolute path of letters, digits and ._-")
    return Path(text)


def run_directory(text: str) -> Path:
    path = directory(text)
    run = RunDirectory(path)
    if run.excess:
        raise ValueError(
            f"is {run.excess} characters too long: sockets in it would have paths of {run.longest_socket}, "
            f"and Linux ends them at {SOCKET_PATH_LIMIT}. Choose a shorter one, such as /run/tmpnb"
        )
    return path


def any_path(text: str) -> Path:
    if not text.startswith("/") or not text.isprintable():
        raise ValueError(f"is {text!r:.80}, not an absolute path")
    return Path(text)


def template(text: str) -> str:
    if reason := command.problem(text):
        raise ValueError(f"cannot be used: {reason}")
    return text


def origins(text: str) -> tuple[str, ...]:
    words = sites(text)
    if any("*" in site for site in words) and words != ("*",):
        raise ValueError("takes either * alone or whole origins")
    return tuple(site.lower() for site in words)


def processors(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
        raise ValueError(f"is {text!r:.40}, not a number of processors such as 1.5")
    return float(text)


def names(text: str) -> tuple[str, ...]:
    """Names of pools, separated by spaces or commas."""
    words = tuple(text.replace(",", " ").split())
    for name in words:
        if not re.fullmatch(POOL_NAME, name):
            raise ValueError(f"holds {name!r:.40}: a pool's name has up to 31 small letters, digits and -")
    if len(set(words)) < len(words) or "default" in words:
        raise ValueError("names a pool twice; the pool `default` is there anyway")
    return words


def assignments(text: str) -> tuple[tuple[str, str], ...]:
    """`NAME=value` words, quoted as in a shell where a value holds spaces."""
    try:
        pairs = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from error
    for name, equals, _ in pairs:
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"holds {name!r:.40}, which does not begin with NAME=")
    return tuple((name, value) for name, _, value in pairs)


def host_addresses(text: str) -> tuple[tuple[str, str], ...]:
    """`host=address` words, separated by spaces or commas."""
    pairs = [word.partition("=") for word in text.replace(",", " ").split()]
    for host, _, address_of_host in pairs:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", host) or not re.fullmatch(r"[0-9A-Fa-f.:]+", address_of_host):
            raise ValueError(f"holds {host!r:.40}, not HOST=ADDRESS such as data.example.org=10.0.0.7")
    return tuple((host, address_of_host) for host, _, address_of_host in pairs)
