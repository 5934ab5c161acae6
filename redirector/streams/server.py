"""`tmpnb streams`: the event streams' process, an ASGI server on a socket that a proxy in front reaches."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from logging.config import dictConfig

import uvicorn

from redirector.errors import FleetConfigError
from redirector.logs import log_config
from redirector.settings.table import RedirectorSettings
from redirector.streams.app import StreamsApp
from redirector.streams.entry_client import EntryClient
from redirector.streams.listening import listen
from redirector.streams.queue_news import QueueNews

log = logging.getLogger("streams")

GOODBYE_SECONDS = 3
"""For the streams' last bytes when the process is told to end."""

HEADER_BYTES = 64 * 1024
"""Of one request, its line included: more than the proxy in front passes on."""


class _Server(uvicorn.Server):
    """Ends its streams when it is told to end, so that clients connect to the next one."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It stops listening before it lets anything else run: no client comes to streams that end at once.
        self._stop.set()
        await super().shutdown(sockets)


def run(settings: RedirectorSettings, descriptor: int | None = None) -> None:
    """Serve event streams until TERM or INT comes.

    Args:
        settings: the redirector's.
        descriptor: of a socket that listens already; None: the process listens where the settings say.

    Raises:
        FleetConfigError: they do not say where, or it cannot listen there.
    """
    dictConfig(log_config(settings.log_level, settings.log_format))
    if descriptor is None and not settings.streams_listen:
        raise FleetConfigError(["TMPNB_STREAMS_LISTEN does not say where to listen"])
    listener = listen(settings.streams_listen) if descriptor is None else socket.socket(fileno=descriptor)
    # A signal that comes before the server hears it ends the process, which is as well.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(_serve(settings, listener))


async def _serve(settings: RedirectorSettings, listener: socket.socket) -> None:
    stop = asyncio.Event()
    # A quarter of the threads that place visitors: a crowd of streams leaves the others to those who come to the entry.
    entry = EntryClient(entry_url(settings.listen), at_once=max(1, settings.workers * settings.threads // 4))
    news = QueueNews(entry)
    asker = asyncio.create_task(news.run())
    config = uvicorn.Config(
        StreamsApp(settings, entry, news, stop).asgi,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
        backlog=2048,
    )
    server = _Server(config, stop)
    # Without its news streams would wait for ever: another process does better.
    asker.add_done_callback(lambda _: setattr(server, "should_exit", True))
    try:
        log.info("event streams are served")
        await server.serve(sockets=[listener])
    finally:
        asker.cancel()
        await entry.close()


def entry_url(listen_address: str) -> str:
    """Where the redirector on this host is reached that listens at an address."""
    host, _, port = listen_address.rpartition(":")
    reached = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"http://{reached}:{port}"
