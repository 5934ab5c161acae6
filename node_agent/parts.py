"""The parts of an agent that follow from its settings alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from node_agent.content.store import BlobStore
from node_agent.jupyter import welcome
from node_agent.pools.culling import Limits
from node_agent.runtimes.contract import Runtime
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.runtime import DockerRuntime
from node_agent.runtimes.process.runtime import ProcessRuntime
from node_agent.settings.pools import PoolSettings
from node_agent.settings.table import NodeSettings
from tmpnb_common.wire import DEFAULT_POOL


def process_runtime(settings: NodeSettings, environment: Mapping[str, str]) -> Runtime:
    """Sandboxes as processes of this host, each pool with a welcome of its own limits."""
    notebooks = {
        pool.name: {welcome.NAME: welcome.render(**_in_words(pool)), **welcome.SETTINGS} for pool in settings.pools
    }
    return ProcessRuntime(
        settings.state.sandboxes,
        welcome=notebooks,
        environment=environment,
        clock=time.time,
    )


def docker_runtime(settings: NodeSettings, _environment: Mapping[str, str]) -> Runtime:
    """Sandboxes as containers, each pool with its own limits."""
    by_pool = {
        # The entry point of the notebook image tells visitors; what an operator set counts before it.
        pool.name: replace(
            pool.limits, environment=((welcome.VARIABLE, welcome.limits(**_in_words(pool))), *pool.limits.environment)
        )
        for pool in settings.pools
    }
    return DockerRuntime(
        DockerEngine(settings.engine),
        node=settings.name,
        run_dir=settings.run_dir,
        image=settings.image,
        clock=time.time,
        limits=by_pool,
        pull=settings.pull,
        unkept=settings.unkept_limits == "accept",
    )


def _in_words(pool: PoolSettings) -> dict[str, int]:
    return {"idle_seconds": int(pool.life.idle), "max_age_seconds": int(pool.life.max_age)}


RUNTIMES: Mapping[str, Callable[[NodeSettings, Mapping[str, str]], Runtime]] = {
    "docker": docker_runtime,
    "process": process_runtime,
}


def make_runtime(settings: NodeSettings, environment: Mapping[str, str]) -> Runtime:
    """The runtime that the settings name."""
    return RUNTIMES[settings.runtime](settings, environment)


def home_sizes(settings: NodeSettings) -> Mapping[str, int]:
    """How many bytes a home holds, by pool; nothing where nothing bounds it."""
    return {pool.name: pool.limits.home_bytes for pool in settings.pools} if settings.runtime == "docker" else {}


def limits_by_pool(settings: NodeSettings) -> Callable[[str], Limits]:
    """How long sessions of a pool last. Those of a pool that the settings no longer have last as the default one's."""
    by_pool = {pool.name: pool.life for pool in settings.pools}
    return lambda pool: by_pool.get(pool, by_pool[DEFAULT_POOL])


def blob_store(settings: NodeSettings, uses: Callable[[str], int] = lambda _digest: 0) -> BlobStore:
    """The node's blobs; `uses` says how many sandboxes and pools need one."""
    return BlobStore(
        settings.content_dir,
        copy_bytes=settings.content_copy,
        limit_bytes=settings.content_bytes,
        blob_bytes=settings.content_blob_bytes,
        uses=uses,
    )
