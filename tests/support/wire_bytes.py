"""JSON as the other side sends it."""

from __future__ import annotations

import json


def packed(raw: object) -> bytes:
    """The bytes of a JSON value."""
    return json.dumps(raw).encode()
