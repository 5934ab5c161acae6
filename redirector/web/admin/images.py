"""The admin API's calls for the software of single nodes: move a pool to another image, prove that it works."""

from __future__ import annotations

from flask import Blueprint, Response

from redirector.admin_api.answers import RollView
from redirector.admin_api.requests import FetchImageRequest, RollRequest, TrialRequest
from redirector.operations.images import Upkeep
from redirector.web.admin.auth import Keyholders
from redirector.web.admin.nodes import decision_of
from redirector.web.bodies import answer, read_body
from tmpnb_common.wire import DEFAULT_POOL


def blueprint(upkeep: Upkeep, admins: Keyholders) -> Blueprint:
    """The calls, each of which needs the admin token."""
    admin = Blueprint("admin_upkeep", __name__, url_prefix="/api/nodes")
    admin.before_request(admins.check)

    @admin.put("/<name>/pools/<pool>")
    def roll(name: str, pool: str) -> Response:
        body = read_body(RollRequest)
        before = upkeep.roll(name, pool, body.image, decision_of(body, admins))
        return answer(RollView(before is not None, before))

    @admin.post("/<name>/pools/<pool>/fetch")
    def fetch(name: str, pool: str) -> Response:
        return answer(upkeep.fetch(name, pool, read_body(FetchImageRequest).image))

    @admin.post("/<name>/selftest")
    def selftest(name: str) -> Response:
        return answer(upkeep.selftest(name, read_body(TrialRequest).pool or DEFAULT_POOL))

    return admin
