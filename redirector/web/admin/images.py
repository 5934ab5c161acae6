"""The admin API's calls for the software of single nodes: move a pool to another image, prove that it works."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from redirector.admin_api.requests import FetchImageRequest, RollRequest, TrialRequest
from redirector.operations.images import Upkeep
from redirector.web.admin.auth import Keyholders
from redirector.web.admin.nodes import decision_of
from redirector.web.bodies import read_body
from tmpnb_common.wire import DEFAULT_POOL


def blueprint(upkeep: Upkeep, admins: Keyholders) -> Blueprint:
    """The calls, each of which needs the admin token."""
    admin = Blueprint("admin_upkeep", __name__, url_prefix="/api/nodes")
    admin.before_request(admins.check)

    @admin.put("/<name>/pools/<pool>")
    def roll(name: str, pool: str) -> Response:
        body = read_body(RollRequest)
        before = upkeep.roll(name, pool, body.image, decision_of(body, admins))
        return jsonify({"changed": before is not None, "image_before": before})

    @admin.post("/<name>/pools/<pool>/fetch")
    def fetch(name: str, pool: str) -> Response:
        found = upkeep.fetch(name, pool, read_body(FetchImageRequest).image)
        return jsonify({"there": found.there, "progress": found.progress, "problem": found.problem})

    @admin.post("/<name>/selftest")
    def selftest(name: str) -> Response:
        found = upkeep.selftest(name, read_body(TrialRequest).pool or DEFAULT_POOL)
        return jsonify({"passed": found.passed, "message": found.message, "measured": found.measured})

    return admin
