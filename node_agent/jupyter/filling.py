"""Puts files into the home of a sandbox whose server runs: by the server itself, or file by file through its API.

Our launcher has a server copy a directory that the sandbox can read. Any other Jupyter server gets each file through
the contents API, always as a plain file: Jupyter signs a notebook that it writes as one and whose cells call themselves
trusted, and the scripts in it would run. What a server answers is hostile; it can spoil its own home and nothing else.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from node_agent.errors import ContentError
from node_agent.unix_http import NoAnswerError, UnixResponse, request

COPY_PATH = "tmpnb/fill"
"""Below the base path, where the launcher's own handler is."""

LISTING_LIMIT = 4 << 20
"""Bytes of one directory's listing."""
ANSWER_LIMIT = 64 * 1024

OK, CREATED, CONFLICT = 200, 201, 409
UNKNOWN = (403, 404, 405)
"""What a server without our handler answers."""


def fill(socket: Path, base_path: str, source: Path, linked: tuple[str, ...], within: float) -> None:
    """Put the files of the directory `source` into a home, within so many seconds; what is there already stays.

    `linked` are those that are links to where a sandbox can read them.

    Raises:
        ContentError: the server does not take them, and why.
    """
    exchange = _Exchange(socket, base_path, within)
    if not _copied_by_server(exchange, source):
        if linked:
            raise ContentError(
                "unfit",
                f"{linked[0]!r:.80} is larger than TMPNB_NODE_CONTENT_COPY, and this image's server cannot link to it: "
                "start it with tmpnb's launcher, or give the content to the whole pool",
            )
        _written_through_api(exchange, source)


class _Exchange:
    """Requests to one server, all of them within one time."""

    def __init__(self, socket: Path, base_path: str, within: float) -> None:
        self._socket = socket
        self._base = base_path
        self._deadline = time.monotonic() + within

    def send(self, method: str, path: str, body: object = None, most: int = ANSWER_LIMIT) -> UnixResponse:
        """Send one request below the base path, with a body of JSON.

        Raises:
            ContentError: no answer comes in time.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ContentError("unfit", "the sandbox's server is too slow")
        try:
            return request(
                self._socket,
                method,
                f"{self._base}{path}",
                within=left,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                most=most,
            )
        except NoAnswerError as error:
            raise ContentError("unfit", f"the sandbox's server gave {error}") from error


def _copied_by_server(exchange: _Exchange, source: Path) -> bool:
    """Whether the server has copied the files itself; False: it cannot.

    Raises:
        ContentError: it tried, and why it failed.
    """
    answer = exchange.send("POST", COPY_PATH, {"source": str(source)})
    if answer.status == OK:
        return True
    if answer.status in UNKNOWN:
        return False
    raise ContentError("unfit", f"the sandbox could not copy the files: {_message(answer)}")


def _written_through_api(exchange: _Exchange, source: Path) -> None:
    for directory, path, names in _walk(source):
        there = _names(exchange, path)
        for name, is_directory in names:
            if name in there:
                continue
            model: dict[str, str] = {"type": "directory"}
            if not is_directory:
                content = base64.b64encode((directory / name).read_bytes()).decode()
                model = {"type": "file", "format": "base64", "content": content}
            inner = f"{path}/{name}" if path else name
            answer = exchange.send("PUT", f"api/contents/{quote(inner)}", model)
            if answer.status not in (OK, CREATED):
                raise ContentError("unfit", f"the server does not take {inner!r:.80}: {_message(answer)}")


def _walk(source: Path) -> Iterator[tuple[Path, str, list[tuple[str, bool]]]]:
    """Each directory, parents first: where it is, its path below the home, and its names with whether each is one."""
    for root, directories, files in os.walk(source):
        path = os.path.relpath(root, source)
        entries = [*((name, True) for name in directories), *((name, False) for name in files)]
        yield Path(root), "" if path == "." else path, sorted(entries)


def _names(exchange: _Exchange, path: str) -> set[str]:
    """The names in a directory of the home."""
    answer = exchange.send("GET", f"api/contents/{quote(path)}?type=directory&no_track_activity=1", most=LISTING_LIMIT)
    try:
        listed = json.loads(answer.body)["content"] if answer.status == OK else None
        return {str(entry["name"]) for entry in listed} if isinstance(listed, list) else set()
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()


def _message(answer: UnixResponse) -> str:
    try:
        return f"{json.loads(answer.body)['message']:.200}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"it answered {answer.status}"
