"""What a node says of itself: its stats, and its metrics for Prometheus."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from redirector.model.nodes import Failure, FailureKind, Node
from redirector.node_client.calls import NodeCalls
from redirector.node_client.http import NodeResponse, Request
from redirector.node_client.node_metrics import Families, NodeMetricsError, parse_metrics
from tmpnb_common.json_object import JsonError
from tmpnb_common.wire import NodeStats, parse_stats

STATS_LIMIT = 256 * 1024
"""Bytes. A node's stats take half a kilobyte and a bit for every pool."""

METRICS_LIMIT = 128 * 1024
"""Bytes; an agent with ten pools has 20,000 to say."""

REDIRECT = (301, 302, 303, 307, 308)
REDIRECTS = 3
TMPNB_STATS = "/api/stats"


class StatsCalls(NodeCalls):
    """Asks nodes how they are."""

    def stats(self, address: str) -> NodeStats | Failure:
        """Ask for a node's stats. Follows redirects within the node's own origin, without the node's token."""
        url = f"{address}/stats"
        for _ in range(REDIRECTS + 1):
            answer = self._send(Request("GET", url, STATS_LIMIT), self._poll_seconds)
            if isinstance(answer, Failure):
                return answer
            if answer.status not in REDIRECT:
                return _stats(answer)
            target = _joined(url, answer.location)
            if _origin(target) != _origin(url):
                return Failure(FailureKind.PROTOCOL_ERROR, "it redirects its stats to another origin")
            # An original tmpnb does not know the path that a proxy may have put before it.
            url = f"{address}{TMPNB_STATS}" if urlsplit(target).path == TMPNB_STATS else target
        return Failure(FailureKind.PROTOCOL_ERROR, "it redirects its stats in a circle")

    def metrics(self, node: Node) -> Families | Failure:
        """Ask for what a node tells Prometheus of itself."""
        answer = self._control(node, "GET", "/metrics", limit=METRICS_LIMIT)
        if isinstance(answer, Failure):
            return answer
        if answer.status != HTTPStatus.OK:
            return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} instead of its metrics")
        try:
            return parse_metrics(answer.body.decode())
        except (UnicodeDecodeError, NodeMetricsError) as error:
            return Failure(FailureKind.PROTOCOL_ERROR, str(error))


def _stats(answer: NodeResponse) -> NodeStats | Failure:
    if answer.status != HTTPStatus.OK:
        return Failure(FailureKind.PROTOCOL_ERROR, f"it answered {answer.status} instead of its stats")
    try:
        return parse_stats(answer.body)
    except JsonError as error:
        return Failure(FailureKind.PROTOCOL_ERROR, str(error))


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; nowhere, if that is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
