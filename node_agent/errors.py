"""Errors of the agent. They carry data; the rims (web, cli) turn them into HTTP statuses and exit codes, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class AgentError(Exception):
    """Base of everything the agent raises on purpose."""


class EngineError(AgentError):
    """The engine did not do as asked. The text is fit for an operator's eyes and holds no sandbox key."""


class NodeConfigError(AgentError):
    """The settings cannot be used. `problems` holds every one of them, a sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class HostError(AgentError):
    """This host's directories, files or ports are not as the agent needs them."""


class UnknownSandbox(AgentError):  # noqa: N818 - named as one says it; the base says that it is an error
    """No sandbox of this node bears this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no sandbox {name!r:.40} on this node")
        self.name = name


class UnknownPool(AgentError):  # noqa: N818 - likewise
    """This node has no pool of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"this node has no pool {name!r:.40}")
        self.name = name


class StaleGeneration(AgentError):  # noqa: N818 - likewise
    """The node holds a newer intent of the fleet than the one it was sent."""

    def __init__(self, held: int) -> None:
        super().__init__(f"this node holds the fleet's intent of generation {held}")
        self.held = held


ContentWord = Literal[
    "bad_blob",
    "too_large",
    "no_room",
    "missing_blob",
    "unknown_blob",
    "in_use",
    "larger_than_home",
    "unfit",
    "busy",
    "off",
]


class ContentError(AgentError):
    """A blob is not taken, not there or not fit for a sandbox. `word` says which, the text says it to an operator."""

    def __init__(self, word: ContentWord, message: str) -> None:
        super().__init__(message)
        self.word = word
