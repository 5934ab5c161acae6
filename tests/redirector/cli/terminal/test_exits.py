from __future__ import annotations

import pytest

from redirector.admin_api.errors import (
    AdminError,
    NotARedirectorError,
    OutcomeUnknownError,
    RefusedError,
    UnreachableError,
)
from redirector.cli.terminal.exits import Exit, combined, exit_of


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (UnreachableError("x"), Exit.FAILED),
        (NotARedirectorError("x", 200), Exit.FAILED),
        (OutcomeUnknownError("x"), Exit.UNKNOWN),
        (RefusedError("bad_request", "x"), Exit.USAGE),
        (RefusedError("has_sessions", "x"), Exit.GUARDED),
        (RefusedError("last_node", "x"), Exit.GUARDED),
        (RefusedError("unknown_node", "x"), Exit.FAILED),
    ],
)
def test_each_problem_has_its_exit_code(problem: AdminError, code: Exit) -> None:
    assert exit_of(problem) == code


@pytest.mark.parametrize(
    ("codes", "together"),
    [
        ([], Exit.DONE),
        ([Exit.DONE, Exit.DONE], Exit.DONE),
        ([Exit.DONE, Exit.FAILED], Exit.PARTLY),
        ([Exit.GUARDED, Exit.GUARDED], Exit.GUARDED),
        ([Exit.UNKNOWN], Exit.UNKNOWN),
        ([Exit.GUARDED, Exit.FAILED], Exit.FAILED),
    ],
)
def test_several_names_have_one_exit_code(codes: list[Exit], together: Exit) -> None:
    assert combined(codes) == together
