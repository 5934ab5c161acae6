"""What placing is measured against: `gunicorn tests.bench.bare:redirect` and `:claim`, under the same settings.

The claim is made by the redirector's own client, without anything around it. BARE_NODE names the node's address.
"""

from __future__ import annotations

import os
import secrets

from flask import Flask, Response

from redirector.model.nodes import Node
from redirector.node_client.client import AgentClient
from redirector.node_client.http import BoundedHttp
from tests.support.fleet_node import FakeNode
from tmpnb_common.claims import Claim, ClaimRequest
from tmpnb_common.wire import DEFAULT_POOL

redirect = Flask("redirect")
claim = Flask("claim")
client = AgentClient(BoundedHttp("bench"), poll_seconds=1.5, claim_seconds=1.5)
node = Node("n1", os.environ.get("BARE_NODE", ""), token=FakeNode.token)


@redirect.get("/")
def bare_redirect() -> Response:
    return Response(status=302, headers={"Location": "http://127.0.0.1/user/k/lab", "Cache-Control": "no-store"})


@claim.get("/")
def bare_claim() -> Response:
    [answer] = client.claim(node, DEFAULT_POOL, [ClaimRequest(secrets.token_urlsafe(24))])
    assert isinstance(answer, Claim), answer
    return Response(status=302, headers={"Location": answer.url, "Cache-Control": "no-store"})
