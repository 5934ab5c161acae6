"""The admin API's calls for pools of single nodes: move one to another image, resize it, prove that it works."""

from __future__ import annotations

from flask import Blueprint, Response

from redirector.admin_api.answers import PoolChangeView
from redirector.admin_api.requests import ChangePoolRequest, FetchImageRequest, TrialRequest
from redirector.errors import BadRequestError
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
    def change_pool(name: str, pool: str) -> Response:
        body = read_body(ChangePoolRequest)
        decision, resizes = decision_of(body, admins), (body.capacity, body.warm) != (None, None)
        if body.image and resizes:
            raise BadRequestError("image and a size in one request: a pool is moved or resized, one after the other")
        if resizes:
            changed, capacity_before = upkeep.resize(name, pool, body.capacity, body.warm, decision)
            return answer(PoolChangeView(changed, capacity_before=capacity_before))
        if not body.image:
            raise BadRequestError("image is missing: what the pool's sandboxes are to run; or capacity, or warm")
        before = upkeep.roll(name, pool, body.image, decision)
        return answer(PoolChangeView(before is not None, before))

    @admin.post("/<name>/pools/<pool>/fetch")
    def fetch(name: str, pool: str) -> Response:
        return answer(upkeep.fetch(name, pool, read_body(FetchImageRequest).image))

    @admin.post("/<name>/selftest")
    def selftest(name: str) -> Response:
        return answer(upkeep.selftest(name, read_body(TrialRequest).pool or DEFAULT_POOL))

    return admin
