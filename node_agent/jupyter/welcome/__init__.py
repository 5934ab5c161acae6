"""The notebook that sandboxes of runtime `process` hold: what this is, that it will vanish, the limits that apply."""

from __future__ import annotations

import json
from importlib import resources
from string import Template

NAME = "Welcome.ipynb"
HOUR = 3600

SETTINGS = {
    # Otherwise JupyterLab greets every visitor with a question about Jupyter's news.
    ".jupyter/config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings": (
        '{"fetchNews": "false"}\n'
    ),
    # The node's own pages do so too.
    ".jupyter/config/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings": (
        '{"adaptive-theme": true}\n'
    ),
    # Otherwise every page that opens makes the server look whether its scripts should be built anew: 0.4 s of processor
    # time where there is a Node.js, while a kernel is to start. Nothing is built here.
    ".jupyter/config/labconfig/page_config.json": '{"buildAvailable": false, "buildCheck": false}\n',
}
"""JupyterLab without what is for people who stay, and light or dark as their system is: files by names in the home."""

VARIABLE = "TMPNB_LIMITS"
"""By which the notebook image's entry point learns of the limits: half a sentence."""


def limits(*, idle_seconds: int, max_age_seconds: int) -> str:
    """The limits as half a sentence about when a sandbox ends."""
    return f"after {duration(idle_seconds)} without activity, and after {duration(max_age_seconds)} at the latest"


def render(*, idle_seconds: int, max_age_seconds: int) -> str:
    """The notebook's text, with the limits in words."""
    text = resources.files(__name__).joinpath(NAME).read_text(encoding="utf-8")
    filled = Template(text).substitute(idle=duration(idle_seconds), age=duration(max_age_seconds))
    return json.dumps(json.loads(filled), indent=1) + "\n"


def duration(seconds: int) -> str:
    """A length of time as one says it: `1 hour`, `90 minutes`, `45 seconds`."""
    for size, unit in ((HOUR, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            number = seconds // size
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    return "no time"
