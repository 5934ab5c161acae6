"""Ask many nodes the same at once, within one time for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from redirector.model.nodes import Failure, FailureKind, Node

PARALLEL = 16
LONGEST_SECONDS = 2.0
"""For all nodes together, unless a call says otherwise: whoever asks waits no longer."""

Answer = TypeVar("Answer")


class FanOut:
    """A few threads that speak to nodes for operators. Safe to use from several threads."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(PARALLEL, thread_name_prefix="fan-out")

    def ask(
        self, nodes: Iterable[Node], call: Callable[[Node], Answer | Failure], seconds: float = LONGEST_SECONDS
    ) -> dict[str, Answer | Failure]:
        """What every node answered, by its name; one that has not by then is a failure like any other."""
        asked = {node.name: self._executor.submit(call, node) for node in nodes}
        wait(asked.values(), timeout=seconds)
        late = Failure(FailureKind.TIMEOUT, f"no answer within {seconds:g} s")
        return {
            name: future.result() if not future.cancel() and future.done() else late for name, future in asked.items()
        }

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
