"""One file over HTTP from a stranger's host, bounded in bytes and time, from addresses that were checked.

Each redirect is an address like any other: checked, and followed only a few times. A token goes to the host, scheme and
port of the source itself.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url
from urllib3.util.connection import create_connection

from redirector.node_client.http import explain
from redirector.worker.addresses import AddressCheck, Origin
from redirector.worker.errors import FetchError
from redirector.worker.limits import FetchLimits
from tmpnb_common.bounded_http import PlainConnection, TlsConnection, within_budget
from tmpnb_common.bounded_reading import Budget

REDIRECTS = 5
FOLLOWED = (301, 302, 303, 307, 308)

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 30.0
"""A host that sends no byte for so long is given up."""

PIECE = 256 * 1024
DISK_CHECK_BYTES = 64 * 1024 * 1024

AGENT = "tmpnb-fleet"


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """What to download, and how its last state was named."""

    url: str
    token: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was downloaded."""

    url: str
    """Where it came from in the end."""
    etag: str


def download(source: ArchiveSource, target: Path, check: AddressCheck, limits: FetchLimits) -> Download | None:
    """Download a file; None: it is still the one with `source.etag`.

    Raises:
        FetchError: its host is away, slow, garbled, refuses, or leads where nothing may be fetched from.
    """
    url, own = source.url, check.origin(source.url)
    for _ in range(REDIRECTS + 1):
        origin = check.origin(url)
        headers = {"User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
        if source.token and origin.site == own.site:
            headers["Authorization"] = f"Bearer {source.token}"
        if source.etag:
            headers["If-None-Match"] = source.etag
        with within_budget(_PatientBudget(limits.seconds_left(), limits.disk_bytes)):
            answer = _request(origin, url, headers, limits)
            try:
                if answer.status == HTTPStatus.NOT_MODIFIED and source.etag:
                    return None
                if answer.status in FOLLOWED:
                    url = _joined(url, answer.headers.get("Location", ""))
                    continue
                if answer.status != HTTPStatus.OK:
                    raise FetchError(_refusal(answer.status, origin.host))
                _save(answer, target, limits)
                return Download(url, _etag(answer.headers.get("ETag", "")))
            except (HTTPError, OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
                    raise
                raise _failed(error, origin, limits) from None
            finally:
                answer.close()
    raise FetchError(f"{own.host:.100} redirects more than {REDIRECTS} times")


def _request(origin: Origin, url: str, headers: Mapping[str, str], limits: FetchLimits) -> urllib3.BaseHTTPResponse:
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS)
    pool: HTTPConnectionPool
    if origin.scheme == "https":
        context = ssl.create_default_context()
        pool = _PinnedTlsPool(origin.host, origin.port, ssl_context=context, addresses=origin.addresses)
    else:
        pool = _PinnedPlainPool(origin.host, origin.port, addresses=origin.addresses)
    try:
        return pool.urlopen(
            "GET",
            parse_url(url).request_uri,
            headers=headers,
            redirect=False,
            retries=False,
            timeout=timeout,
            preload_content=False,
            decode_content=False,
        )
    except Exception as error:  # noqa: BLE001  # a stranger's answer: parsers raise whatever they come upon
        raise _failed(error, origin, limits) from None


def _save(answer: urllib3.BaseHTTPResponse, target: Path, limits: FetchLimits) -> None:
    size = checked = 0
    with target.open("wb") as file:
        while piece := answer.read(PIECE, decode_content=False):
            limits.seconds_left()
            size += len(piece)
            if size > limits.disk_bytes:
                raise FetchError(f"the archive is longer than {limits.disk_bytes} bytes")
            file.write(piece)
            if size - checked >= DISK_CHECK_BYTES:
                checked = size
                limits.check_disk(target.parent)


def _failed(error: BaseException, origin: Origin, limits: FetchLimits) -> FetchError:
    if isinstance(error, FetchError):
        return error
    limits.seconds_left()
    return FetchError(f"{origin.host:.100}: {explain(error, limits.disk_bytes, SILENT_SECONDS).reason:.300}")


def _refusal(status: int, host: str) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return f"{host:.100} wants a login, or the token does not open it ({status})"
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return f"{host:.100} has no such archive ({status})"
        case _:
            return f"{host:.100} answers {status} instead of the archive"


def _joined(url: str, location: str) -> str:
    try:
        target = urljoin(url, location) if location else ""
    except ValueError:
        target = ""
    if not target or not target.isprintable():
        raise FetchError("the archive's host redirects to what is no address")
    return target


def _etag(text: str) -> str:
    """A tag to send back as it is; what could be no header is none."""
    return text if text.isascii() and text.isprintable() and 0 < len(text) <= 120 else ""  # noqa: PLR2004 - fits a column


class _PatientBudget(Budget):
    """A budget whose every single wait is bounded, too."""

    def seconds(self) -> float:
        return min(super().seconds(), SILENT_SECONDS)


def _connected(addresses: tuple[str, ...], port: int, options: Any) -> socket.socket:
    """A socket to the first of the checked addresses that answers."""
    deadline, failure = time.monotonic() + CONNECT_SECONDS, OSError("there is no address to connect to")
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return create_connection((address, port), left, socket_options=options)
        except OSError as error:
            failure = error
    raise failure


class _PinnedPlainConnection(PlainConnection):
    """Connects to checked addresses, whatever the name means by now."""

    def __init__(self, *arguments: Any, addresses: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        return _connected(self._addresses, self.port, self.socket_options)


class _PinnedTlsConnection(TlsConnection):
    """Likewise, behind TLS, whose certificate has to be the name's."""

    def __init__(self, *arguments: Any, addresses: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        return _connected(self._addresses, self.port, self.socket_options)


class _PinnedPlainPool(HTTPConnectionPool):
    ConnectionCls = _PinnedPlainConnection


class _PinnedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedTlsConnection
