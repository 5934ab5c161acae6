"""What the exit codes of `tmpnb` mean, and which one a problem gets. Decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from redirector.admin_api.errors import AdminError, OutcomeUnknownError, RefusedError


class Exit(IntEnum):
    """Exit codes, as scripts may rely on them."""

    DONE = 0
    """Done, or it was so already."""
    FAILED = 1
    USAGE = 2
    PARTLY = 3
    """Of several names some were done and some not."""
    SESSIONS_LEFT = 4
    """Timed out while visitors' sessions were left."""
    GUARDED = 5
    """Refused by a guard; `--force` overrides it."""
    UNKNOWN = 6
    """The request was sent and its answer was lost."""
    INTERRUPTED = 130
    """Ctrl-C ended a wait, and nothing that the fleet does."""


GUARDS = frozenset({"has_sessions", "last_node", "too_little_free"})
DENIALS = frozenset({"forbidden", "unauthorized"})

_CURES = dict.fromkeys(
    DENIALS, "it is taken from TMPNB_TOKEN, TMPNB_TOKEN_FILE or the state directory of a `tmpnb up`"
) | {"bad_token": "name the file that holds it with --token-file: on the node it is `token` in the state directory"}
"""What to do about a refusal, by its code, where the redirector cannot know how it was asked."""


class Stop(Exception):  # noqa: N818 - raised to stop, as `click.Abort` is
    """Ends the command with one sentence on stderr and an exit code."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def exit_of(problem: AdminError) -> Exit:
    match problem:
        case OutcomeUnknownError():
            return Exit.UNKNOWN
        case RefusedError(code=code) if code in GUARDS:
            return Exit.GUARDED
        case RefusedError(code="bad_request" | "bad_source"):
            return Exit.USAGE
        case _:
            return Exit.FAILED


def stop_of(problem: AdminError) -> Stop:
    code = exit_of(problem)
    message = str(problem)
    if code == Exit.UNKNOWN:
        message += "; it may have been carried out: look before you try again"
    elif code == Exit.GUARDED:
        message += " (--force overrides this)"
    elif isinstance(problem, RefusedError) and problem.code in _CURES:
        message = f"{message.removesuffix('.')}; {_CURES[problem.code]}"
    return Stop(message, code)


def combined(codes: Sequence[Exit]) -> Exit:
    """The exit code of a command that did the same to several names."""
    distinct = set(codes)
    if not distinct or distinct == {Exit.DONE}:
        return Exit.DONE
    if Exit.DONE in distinct:
        return Exit.PARTLY
    return distinct.pop() if len(distinct) == 1 else Exit.FAILED
