"""Write docs/openapi-*.json, the descriptions that redirector and node serve themselves: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

from redirector.web import openapi as redirector

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    text = json.dumps(redirector.description(), indent=1, ensure_ascii=False)
    (DOCS / "openapi-redirector.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
