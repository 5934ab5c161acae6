"""What an application serves, in the words of an OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Collection

from flask import Flask


def served(app: Flask, *, without: Collection[str]) -> set[tuple[str, str]]:
    """Every method and path, but files and those of the blueprints named in `without`."""
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] not in without and not rule.rule.startswith("/static/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
