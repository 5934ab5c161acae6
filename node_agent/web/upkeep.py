"""What only holders of the node's token may do to its software: change pools, try sandboxes, read the metrics."""

from __future__ import annotations

from flask import Blueprint, Response

from node_agent.errors import ContentError, UnknownPool
from node_agent.lifecycle.filling import check_home
from node_agent.lifecycle.selftest import QUEUE_SECONDS
from node_agent.settings.values import IMAGE_NAME
from node_agent.web import answers, incoming
from node_agent.web.answers import BadRequest
from node_agent.web.metrics import CONTENT_TYPE, NodeSample, exposition
from node_agent.web.node import NodeContext
from node_agent.web.requests import FetchRequest, PoolRequest, SelftestRequest
from node_agent.web.views import NodePoolView, PassedView
from tmpnb_common.json_object import convert


def blueprint(node: NodeContext) -> Blueprint:
    routes = Blueprint("upkeep", __name__)

    @routes.put("/api/pools/<name>")
    def put_pool(name: str) -> Response:
        incoming.require_token(node.identity)
        body = incoming.read_body(PoolRequest)
        image = image_of(body.image)
        try:
            if body.content and node.pools.spec(name) is not None:
                check_content(node, name, body.content)
            spec = node.overrides.change(
                node.pools, name, image=image, warm=body.warm, capacity=body.capacity, content=body.content
            )
        except ValueError as error:
            raise BadRequest(str(error)) from error
        return answers.view(NodePoolView.of(spec))

    @routes.post("/api/pools/<name>/fetch")
    def fetch(name: str) -> Response:
        """Have an image fetched for a pool that is to be moved to it, and say how far that is: moves nothing."""
        incoming.require_token(node.identity)
        if node.pools.spec(name) is None:
            raise UnknownPool(name)
        image = image_of(incoming.read_body(FetchRequest).image)
        if image is None:
            raise BadRequest("image is missing: what is to be fetched")
        return answers.view(node.image_state(image))

    @routes.post("/api/selftest")
    def selftest() -> Response:
        incoming.require_token(node.identity)
        outcome = node.selftest.run(incoming.read_body(SelftestRequest).pool, patience=QUEUE_SECONDS)
        if outcome.passed:
            return answers.view(convert(PassedView, {"message": outcome.message, **outcome.measured}))
        return answers.answer(503, "selftest_failed", outcome.message, **outcome.measured)

    @routes.get("/metrics")
    def metrics() -> Response:
        incoming.require_token(node.identity)
        sample = NodeSample(node.stats(), node.counters.registry, node.pools.memory_left(), node.problem())
        return Response(exposition(sample), content_type=CONTENT_TYPE)

    return routes


def check_content(node: NodeContext, pool: str, digest: str) -> None:
    """See that a pool's new homes can be made with a blob.

    Raises:
        ContentError: it is not there, or too large for these homes.
    """
    blob = node.blobs.use(digest)
    if blob is None:
        raise ContentError("missing_blob", "this node does not hold that blob: send it first")
    check_home(blob, node.homes.get(pool))


def image_of(image: str) -> str | None:
    if image and not IMAGE_NAME.fullmatch(image):
        raise BadRequest(f"image is {image!r:.60}, not an image's name")
    return image or None
