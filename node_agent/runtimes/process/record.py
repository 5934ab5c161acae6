"""What an agent writes down of a sandbox that is a local process, so that the next agent knows it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from node_agent import files
from node_agent.errors import EngineError, HostError
from tmpnb_common.json_object import JsonError, convert
from tmpnb_common.processes import ProcessId

FILE = "record.json"


@dataclass(frozen=True, slots=True)
class Record:
    """One sandbox's process. A record holds no key."""

    pool: str
    image: str
    created_at: float
    """Seconds since 1970."""
    pid: int
    started: str
    """When the process started, so that another one of the same number is not taken for it."""
    content: str = ""
    """The digest of the blob that its home was made with; empty: none."""

    @classmethod
    def of(cls, pid: int, pool: str, image: str, now: float, content: str = "") -> Record:
        """A record of the process that runs under `pid` now.

        Raises:
            EngineError: no process does.
        """
        try:
            process = ProcessId.of(pid)
        except psutil.NoSuchProcess as error:
            raise EngineError("the process ended at once") from error
        return cls(pool, image, now, process.pid, process.started, content)

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.started)


def write_record(place: Path, record: Record) -> None:
    """Write the record of the sandbox whose files are in the directory `place`.

    Raises:
        HostError: the disk does not take it.
    """
    files.write_json(place / FILE, asdict(record), mode=0o600)


def read_record(place: Path) -> Record | None:
    """Read the record of the sandbox whose files are in the directory `place`; None: there is none.

    Raises:
        EngineError: it cannot be read.
    """
    try:
        raw = files.read_json(place / FILE)
        return None if raw is None else convert(Record, raw, str(place / FILE))
    except (HostError, JsonError) as error:
        raise EngineError(str(error)) from error
