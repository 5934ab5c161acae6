"""The calls of a Docker Engine that sandboxes need.

Every call raises `EngineError` with a reason fit for an operator; what is gone already is no error but None.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from node_agent.errors import EngineError
from node_agent.runtimes.contract import Usage
from node_agent.runtimes.docker.connection import CONFLICT, NO_ANSWER, EngineConnection, or_none, passing_over
from tmpnb_common.processes import TerminalProcess

SOCKET = Path("/var/run/docker.sock")

PULL_SECONDS = 300
"""Of silence in a pull. The engine says nothing while it verifies a large layer, nor of a registry that hangs."""
ANSWER_SECONDS = 5
"""For the question whether the engine is there at all."""


@dataclass(frozen=True, slots=True)
class Created:
    """A container that was created, with what the engine warned of: as a rule, that it discards what it was asked."""

    id: str
    warnings: tuple[str, ...]


class DockerEngine:
    """One engine on this host. Calls may come from several threads at once."""

    def __init__(self, socket: Path = SOCKET) -> None:
        """Connects at the first call, so that the agent can start before its engine does."""
        self._api = EngineConnection(socket)

    def ping(self) -> None:
        self._api.call("reach the engine", lambda client: client.ping(), within=ANSWER_SECONDS)

    def image(self, name: str) -> Mapping[str, Any] | None:
        """What the engine knows of an image; None: it does not have it."""
        return self._api.call("look at an image", or_none(lambda client: client.inspect_image(name)), retry=True)

    def network(self, name: str) -> Mapping[str, Any] | None:
        return self._api.call("look at a network", or_none(lambda client: client.inspect_network(name)), retry=True)

    def pull(self, image: str) -> Iterator[Mapping[str, Any]]:
        """Fetch an image; yields the engine's messages on the way."""
        begin = lambda client: client.pull(image, stream=True, decode=True)  # noqa: E731 - as in all calls here
        events = self._api.call("pull an image", begin, within=PULL_SECONDS)
        try:
            yield from events
        except NO_ANSWER as error:
            silent = "timed out" in str(error)
            why = f"nothing came for {PULL_SECONDS} s" if silent else f"the engine broke off ({type(error).__name__})"
            raise EngineError(why) from None

    def info(self) -> Mapping[str, Any]:
        """What the engine says of itself and of its kernel."""
        return dict(self._api.call("ask what the engine can do", lambda client: client.info(), retry=True))

    def create(self, body: Mapping[str, Any], name: str | None = None) -> Created:
        """Create a container from the body of the API's request."""
        answer = self._api.call("create a container", lambda client: client.create_container_from_config(body, name))
        return Created(str(answer["Id"]), tuple(map(str, answer.get("Warnings") or ())))

    def start(self, container: str) -> None:
        self._api.call("start a container", lambda client: client.start(container))

    def exit_code(self, container: str, within: int) -> int:
        """Wait until a container has ended."""
        return int(
            self._api.call("wait for a container", lambda client: client.wait(container, timeout=within))["StatusCode"]
        )

    def containers(self, labels: Sequence[str]) -> list[Mapping[str, Any]]:
        """All that bear these labels, whether they run or not."""
        filters = {"label": list(labels)}
        return list(
            self._api.call("list containers", lambda client: client.containers(all=True, filters=filters), retry=True)
        )

    def state(self, container: str) -> Mapping[str, Any] | None:
        """How a container stands or ended."""
        answer = self._api.call(
            "look at a container", or_none(lambda client: client.inspect_container(container)), retry=True
        )
        return None if answer is None else answer["State"]

    def usage(self, container: str) -> Usage:
        """What a container uses; of memory without what its host would take back for the asking.

        The engine reads it from either version of control groups. One that does not run uses nothing.
        """
        look = or_none(lambda client: client.stats(container, stream=False, one_shot=True))
        stats = self._api.call("look at what a container uses", look, retry=True) or {}
        memory = stats.get("memory_stats") or {}
        parts = memory.get("stats") or {}
        # By the names of the older control groups, and by those of the newer ones.
        spare = parts.get("total_inactive_file", parts.get("inactive_file", 0))
        nanoseconds = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
        return Usage(max(0, int(memory.get("usage", 0)) - int(spare)), nanoseconds and nanoseconds / 1e9)

    def processes(self, container: str) -> list[TerminalProcess]:
        """What runs in a container, by the host's numbers. Nothing where the engine's host has no usual `ps`."""
        look = or_none(lambda client: client.top(container, ps_args="-eo pid,pgid,sess,tpgid"))
        rows = (self._api.call("look at a container's processes", look) or {}).get("Processes") or []
        return [TerminalProcess(*map(int, row[:4])) for row in rows]

    def log_tail(self, container: str, lines: int) -> bytes:
        read = or_none(lambda client: client.logs(container, tail=lines))
        return self._api.call("read a container's log", read, retry=True) or b""

    def file(self, container: str, path: str) -> bytes | None:
        """A file out of a container, be it one that never ran."""

        def read(client: Any) -> bytes:
            chunks, _ = client.get_archive(container, path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                member = archive.extractfile(path.rpartition("/")[2])
                return member.read() if member else b""

        return self._api.call("read a file in a container", or_none(read), retry=True)

    @contextmanager
    def archive(self, container: str, path: str) -> Iterator[IO[bytes] | None]:
        """A directory of a container as a tar file; None where there is none."""

        def fetch(client: Any) -> IO[bytes]:
            # Not in memory: some images hold a lot.
            spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller's `with`
            try:
                for chunk in client.get_archive(container, path)[0]:
                    spool.write(chunk)
            except BaseException:
                spool.close()
                raise
            spool.seek(0)
            return spool

        spool = self._api.call("read a directory in a container", or_none(fetch), retry=True)
        with spool or nullcontext():
            yield spool

    def link_target(self, container: str, path: str) -> str | None:
        """Where a symbolic link leads, empty for a file that is none, None where nothing is."""

        def look(client: Any) -> str:
            chunks, status = client.get_archive(container, path)
            # Nothing of the content is wanted; a generator that is closed lets the connection go.
            chunks.close()
            return str(status.get("linkTarget") or "")

        return self._api.call("look at a file in a container", or_none(look), retry=True)

    def remove(self, container: str) -> None:
        """Kill a container and remove it with its volumes."""
        # A conflict: somebody else is removing it already.
        remove = passing_over(CONFLICT, lambda client: client.remove_container(container, force=True, v=True))
        self._api.call("remove a container", or_none(remove), retry=True)

    def volumes(self, label: str) -> list[str]:
        """The names of the volumes that bear a label."""
        listing = self._api.call("list volumes", lambda client: client.volumes(filters={"label": label}), retry=True)
        return [str(volume["Name"]) for volume in listing.get("Volumes") or ()]

    def remove_volume(self, name: str) -> None:
        """Remove a volume; one that a container still uses stays."""
        remove = passing_over(CONFLICT, lambda client: client.remove_volume(name))
        self._api.call("remove a volume", or_none(remove), retry=True)

    def close(self) -> None:
        """Let go of the connections; a later call makes new ones."""
        self._api.close()
