"""The agent's HTTP application, behind nginx and on a UNIX socket of its own."""

from __future__ import annotations

from flask import Flask

from node_agent.web import answers, contents, control, entry, info, openapi, public, upkeep
from node_agent.web import time_left as left
from node_agent.web.node import NodeContext

MAX_BODY = 64 * 1024
"""Bytes. The largest call is a claim with a path; a blob comes in a stream with a limit of its own."""


def create_app(node: NodeContext) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = False
    # Repeated and doubled slashes are somebody's mistake, not a reason to take a sandbox.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's default provider has it
    answers.register(app, node.pages)
    app.register_blueprint(public.blueprint(node))
    app.register_blueprint(info.blueprint(node))
    app.register_blueprint(left.blueprint(node))
    app.register_blueprint(entry.blueprint(node))
    app.register_blueprint(control.blueprint(node))
    app.register_blueprint(upkeep.blueprint(node))
    app.register_blueprint(contents.blueprint(node))
    app.register_blueprint(openapi.blueprint())
    return app
