"""`tmpnb-agent proxy`: nginx in the foreground."""

from __future__ import annotations

import os
import signal
import threading

import click

from node_agent.logs import log_to_stderr
from node_agent.proxy import listeners, nginx, open_files
from node_agent.proxy.nginx_program import find_nginx
from node_agent.proxy.process import Proxy
from node_agent.settings import table as config


@click.command()
def proxy() -> None:
    """Run nginx in the foreground with the configuration that the agent writes, and follow its changes.

    Waits for the agent's first start. TERM ends it within some seconds.
    """
    settings = config.from_environment()
    log_to_stderr(settings.log_format)
    # nginx and its workers inherit it.
    open_files.raise_limit(settings.slots, open_files.of_nginx(settings.slots), wish=open_files.NGINX)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    Proxy(
        find_nginx(),
        settings.run_dir,
        (settings.listen.host, settings.listen.port),
        stop,
        certificate=tuple(path for path in (settings.tls_cert, settings.tls_key) if path),
        until_certified=nginx.until_certified(settings, as_root=os.geteuid() == 0) if settings.http_listen else "",
        listeners=listeners.handed_over(os.environ, os.getpid()),
    ).run()
