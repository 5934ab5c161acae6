"""Sends nodes the blobs that their pools and their visitors need, ahead of both where that can be known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from redirector.model.content import Content
from redirector.model.nodes import Failure, Health, Node, Seen
from redirector.node_client.blobs import HeldBlobs
from redirector.node_client.client import AgentClient
from redirector.store.blob_rows import BlobRows
from redirector.store.contents import Contents
from redirector.store.leases import node_lease
from redirector.worker.errors import BlobDamagedError, WorkerError
from redirector.worker.held_leases import HeldLeases
from redirector.worker.object_store import ObjectStore

log = logging.getLogger("worker")

LOOK_SECONDS = 30.0
"""So often a node is asked what it holds, though nothing has changed: it may have evicted or lost something."""

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class NodeNeeds:
    """What one node is to hold, and to make its pools' homes with."""

    node: Node
    boot_id: str
    digests: frozenset[str]
    """Of contents that its pools serve."""
    pools: tuple[tuple[str, str], ...]
    """Each pool that knows contents, with the digest that its homes are made with; empty: none."""
    made_with: tuple[tuple[str, str], ...]
    """The same as the node's stats last had it."""


@dataclass(slots=True)
class _Progress:
    """How far a node is."""

    done: NodeNeeds | None = None
    looked_at: float = 0.0
    failures: int = 0
    retry_at: float = 0.0


def needs_of(node: Node, seen: Seen, contents: Iterable[Content]) -> NodeNeeds | None:
    """What a node needs; None: it takes no contents, or cannot be spoken to now."""
    stats = seen.stats
    if stats is None or not stats.holds_content or seen.health not in (Health.UP, Health.SUSPECT):
        return None
    served = [content for content in contents if content.digest and content.pool in stats.pools]
    wanted = dict.fromkeys(stats.pools, "") | {content.pool: content.digest for content in served if content.whole_pool}
    return NodeNeeds(
        node,
        stats.boot_id,
        frozenset(content.digest for content in served if content.named),
        tuple(sorted(wanted.items())),
        tuple(sorted((name, pool.content) for name, pool in stats.pools.items())),
    )


class Pushing:
    """Pushes to nodes. Safe to use from several threads, one at a time for each node."""

    def __init__(
        self,
        *,
        client: AgentClient,
        blobs: ObjectStore,
        rows: BlobRows,
        contents: Contents,
        leases: HeldLeases,
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._rows = rows
        self._contents = contents
        self._leases = leases
        self._monotonic = monotonic
        self._progress: dict[str, _Progress] = {}

    def due(self, needs: NodeNeeds, wanted: Iterable[str]) -> bool:
        """Whether a node is to be seen to now; `wanted` are digests that visitors wait for there."""
        progress = self._progress.setdefault(needs.node.name, _Progress())
        now = self._monotonic()
        if now < progress.retry_at:
            return False
        if any(wanted):
            return True
        settled = progress.done == needs and needs.pools == needs.made_with
        return not settled or now - progress.looked_at >= LOOK_SECONDS

    def forget_others(self, names: Iterable[str]) -> None:
        """Forget the nodes that are gone."""
        for name in set(self._progress) - set(names):
            del self._progress[name]

    def see_to(self, needs: NodeNeeds, contents: Mapping[str, Content]) -> None:
        """Bring one node to what it needs, unless another worker does.

        Raises:
            DatabaseAwayError: what came of it cannot be written.
        """
        progress = self._progress.setdefault(needs.node.name, _Progress())
        with self._leases.holding(node_lease(needs.node.name)) as mine:
            if not mine:
                progress.retry_at = self._monotonic() + FIRST_PAUSE_SECONDS
                return
            problem = self._bring(needs, contents)
        now = self._monotonic()
        progress.looked_at = now
        if problem:
            if not progress.failures:
                log.warning("node=%s: %s", needs.node.name, problem)
            pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(progress.failures, 20), LONGEST_PAUSE_SECONDS)
            progress.failures += 1
            progress.retry_at = now + pause
        else:
            progress.done, progress.failures, progress.retry_at = needs, 0, 0.0

    def _bring(self, needs: NodeNeeds, contents: Mapping[str, Content]) -> str:
        """Push and set what is missing; the first problem, or nothing."""
        node, problems = needs.node, []
        held = self._client.held_blobs(node)
        if isinstance(held, Failure):
            return held.reason
        # Visitors first.
        waited_for = [row.digest for row in self._rows.wanted() if row.node == node.name]
        there = {blob.digest for blob in held.blobs}
        self._rows.holds(node.name, there)
        for digest in dict.fromkeys((*waited_for, *sorted(needs.digests))):
            if digest in there:
                if digest in waited_for:
                    self._rows.pushed(node.name, digest)
                continue
            problem = self._push(node, digest, contents)
            if problem:
                problems.append(problem)
            else:
                there.add(digest)
        self._judge(node, held, contents)
        made_with = dict(needs.made_with)
        for pool, digest in needs.pools:
            if digest != made_with.get(pool, "") and (not digest or digest in there):
                failed = self._client.put_content(node, pool, digest)
                if failed is not None:
                    problems.append(f"pool {pool}: {failed.reason}")
        return problems[0] if problems else ""

    def _push(self, node: Node, digest: str, contents: Mapping[str, Content]) -> str:
        """Send one blob; the problem, or nothing."""
        try:
            with self._blobs.opened(digest) as path:
                failed = self._client.put_blob(node, digest, path)
        except BlobDamagedError as error:
            # It is fetched again by whoever reads that it is wanted and gone.
            self._rows.delete(digest)
            self._blobs.delete(digest)
            for content in contents.values():
                if content.digest == digest:
                    self._contents.want_refresh(content.name)
            self._rows.push_failed(node.name, digest, str(error))
            return str(error)
        except WorkerError as error:
            self._rows.push_failed(node.name, digest, str(error))
            return str(error)
        if failed is not None:
            self._rows.push_failed(node.name, digest, failed.reason)
            return f"blob {digest[:12]}: {failed.reason}"
        self._rows.used(digest)
        self._rows.pushed(node.name, digest)
        log.info("node=%s got digest=%s", node.name, digest[:12])
        return ""

    def _judge(self, node: Node, held: HeldBlobs, contents: Mapping[str, Content]) -> None:
        """Say of contents that take more than half of a home there that they do: only nodes know both sizes."""
        copied = {blob.digest: blob.copied_bytes for blob in held.blobs}
        for content in contents.values():
            home, size = held.homes.get(content.pool), copied.get(content.digest, 0)
            if home and size > home // 2:
                self._rows.push_failed(
                    node.name,
                    content.digest,
                    f"each home would get {size} bytes of it, more than half of the {home} that a home of pool "
                    f"{content.pool} holds: raise TMPNB_NODE_HOME, or lower TMPNB_NODE_CONTENT_COPY on the node",
                )
