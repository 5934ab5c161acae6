"""Fake nodes in a process of their own, so that they take no time from whoever measures.

It prints their names and addresses, then reads one JSON command a line: `{"name", "do": "die" or "start"}` or
`{"name", "set": {field: value}}`, and answers each with a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Lock
from types import TracebackType
from typing import Any, Self

from redirector.model.nodes import Node
from redirector.store.database import Database
from redirector.store.registry import Registry
from tests.support.fleet_node import FakeNode
from tests.support.fleet_nodes import fake_nodes


class Swarm:
    """Starts the process and speaks to it."""

    def __init__(self, count: int, slots: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.swarm", str(count), str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._talk = Lock()
        """One command and its answer at a time, whichever thread gives it."""
        self.nodes: list[Node] = [Node(**fields) for fields in self._answer()]

    def die(self, name: str) -> None:
        self._tell({"name": name, "do": "die"})

    def start(self, name: str) -> None:
        self._tell({"name": name, "do": "start"})

    def change(self, name: str, **fields: Any) -> None:
        """Set fields of the fake node."""
        self._tell({"name": name, "set": fields})

    def enrol(self, database_url: str) -> None:
        """Write all of them into the registry at once."""
        database = Database(database_url)
        with Registry(database).changing() as change:
            for node in self.nodes:
                change.add(node)
        database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def _tell(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._talk:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def main(count: int, slots: int) -> None:
    with fake_nodes() as running:
        nodes = {}
        for number in range(1, count + 1):
            nodes[f"n{number}"] = running.add(f"n{number}", ready=slots, capacity=slots, generation=1)
        print(json.dumps([_row(node) for node in nodes.values()]), flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            node = nodes[command["name"]]
            match command.get("do"):
                case "die":
                    running.die(node)
                case "start":
                    node.restart()
                    running.start(node)
            for field, value in command.get("set", {}).items():
                setattr(node, field, value)
            print("{}", flush=True)


def _row(node: FakeNode) -> dict[str, str]:
    return {"name": node.name, "url": node.url, "token": node.token, "node_id": node.node_id}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
