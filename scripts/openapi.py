"""Write docs/openapi-*.json, the descriptions that redirector and node serve themselves: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

from node_agent.web import openapi as node
from redirector.web import openapi as redirector

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    for name, program in {"redirector": redirector, "node": node}.items():
        text = json.dumps(program.description(), indent=1, ensure_ascii=False)
        (DOCS / f"openapi-{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
