"""The pages that people see: ours, or an operator's of the same name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template
from jinja2 import Environment, TemplateError

from redirector.errors import FleetConfigError
from redirector.settings.table import RedirectorSettings
from tmpnb_common.templates import STYLE, loader

log = logging.getLogger("web")

PACKAGE = "redirector.web"
OWN = "tmpnb_own_pages"
POLICY = "tmpnb_policy"

STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; worker-src 'self'; connect-src 'self'"
)
CUSTOM = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; script-src 'self'; worker-src 'self'; "
    "connect-src 'self'"
)
"""An operator's own pages may bring their look along. Scripts and third parties stay out of those too."""

ALONE = {"Cross-Origin-Opener-Policy": "same-origin"}
"""No window that opened this one sees where it leads. Else a script in one sandbox could open the entry, be led to its
victim's sandbox on the same node, and read that one's address, which is all it takes to use it.
"""


def prepare(app: Flask, settings: RedirectorSettings) -> None:
    """Let templates of the operator's directory take the place of ours, one by one."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_loader = loader(PACKAGE, settings.templates_dir)
    app.extensions[OWN] = app.jinja_env.overlay(loader=loader(PACKAGE))
    app.register_blueprint(Blueprint("style", __name__, static_folder=STYLE, static_url_path="/static/style"))
    ancestors = " ".join(settings.frame_ancestors) or "'none'"
    base = CUSTOM if settings.templates_dir else STRICT
    app.extensions[POLICY] = f"{base}; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"


def page_with_way_in(template: str, status: int, **values: Any) -> Response:
    """A page with a form that leads to the entry, and from there to a sandbox, wherever that is."""
    response = page(template, status, **values)
    policy = response.headers["Content-Security-Policy"]
    # Browsers ask it of every address that a form leads to by way of redirects.
    response.headers["Content-Security-Policy"] = policy.replace("form-action 'self'", "form-action *")
    return response


def page(template: str, status: int, **values: Any) -> Response:
    """A page, never cached, framed by none but the sites that may, and telling no other where its reader came from."""
    response = Response(_render(template, values), status, ALONE)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = current_app.extensions[POLICY]
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def check_templates(directory: Path | None) -> None:
    """Read the operator's templates once, before anyone needs them.

    Raises:
        FleetConfigError: with every one that cannot be used, and why.
    """
    if directory is None:
        return
    environment = Environment(loader=loader(PACKAGE, directory), autoescape=True)
    problems = []
    for file in sorted(directory.glob("*.html")):
        try:
            environment.get_template(file.name)
        except (TemplateError, UnicodeDecodeError) as error:
            problems.append(f"TMPNB_TEMPLATES_DIR holds {file.name}, which is no template: {error}")
    if problems:
        raise FleetConfigError(problems)


def _render(template: str, values: dict[str, Any]) -> str:
    try:
        return render_template(template, **values)
    except TemplateError:
        log.exception("the template of %s cannot be used; our own is shown instead", template)
        own: Environment = current_app.extensions[OWN]
        current_app.update_template_context(values)
        return own.get_template(template).render(values)
