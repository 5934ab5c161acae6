"""What an application serves, in the words of an OpenAPI document, and calls that follow the document or break it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


def served(app: Flask, *, without: Collection[str]) -> set[tuple[str, str]]:
    """Every method and path, but files and those of the blueprints named in `without`."""
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] not in without and not rule.rule.startswith("/static/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def exercise(
    operation: Any, headers: Mapping[str, str], names: Mapping[str, str] | None, statuses: Counter[int], examples: int
) -> None:
    """Call one operation a few times, always in the same way, with bodies that fit and bodies that do not.

    `statuses` counts the answers, and under -200 the sandboxes that were handed out.
    """
    right = operation.as_strategy(path_parameters=names)
    wrong = operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=names)

    @seed(7)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong if operation.body else right)
    def call(case: Any) -> None:
        response = case.call(headers=dict(headers))
        statuses[response.status_code] += 1
        if (operation.path, response.status_code) == ("/api/spawn", 200):
            statuses[-200] += 1
        case.validate_response(response, checks=CHECKS)

    call()


def auth_of(definition: Mapping[str, Any]) -> str:
    """The name of the token that an operation needs; empty for none."""
    return next((name for each in definition.get("security", []) for name in each), "")
