"""A real image registry on loopback, behind a relay that is slow and can stop in the middle of a layer."""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import requests

from node_agent.runtimes.docker.engine import SOCKET
from tests.support.base_ports import free_ports
from tests.support.programs import need
from tests.support.waiting import wait_until

CHUNK = 16 << 10


class Relay:
    """Passes connections on. What comes back goes at `rate` bytes a second, and no further than `budget` bytes."""

    def __init__(self, target: int) -> None:
        self.rate = 10**9
        self.budget = 10**12
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for pump in (self._up, self._down):
                    thread = threading.Thread(target=pump, args=(client, server))
                    self._threads.append(thread)
                    thread.start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(CHUNK):
                server.sendall(chunk)
            server.shutdown(socket.SHUT_WR)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(CHUNK):
                while self.budget < len(chunk):
                    if self._stopped.wait(0.05):
                        return
                self.budget -= len(chunk)
                client.sendall(chunk)
                self._stopped.wait(len(chunk) / self.rate)
            client.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        self._stopped.set()
        # An accept that waits is woken by a shutdown, not by a close.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()


class Registry:
    """A registry with images of this machine's engine in it, which are pulled through the relay."""

    def __init__(self, port: int, relay: Relay) -> None:
        self._port = port
        self.relay = relay

    def publish(self, size: int) -> str:
        """A fresh image with one layer of that many bytes, which this machine has to pull; its name."""
        tag = secrets.token_hex(4)
        client = docker.APIClient(f"unix://{SOCKET}", version="auto", timeout=120)
        try:
            layer = io.BytesIO()
            with tarfile.open(fileobj=layer, mode="w") as archive:
                entry = tarfile.TarInfo("bulk")
                entry.size = size
                archive.addfile(entry, io.BytesIO(os.urandom(size)))
            name = f"127.0.0.1:{self._port}/bulk"
            client.import_image_from_data(layer.getvalue(), repository=name, tag=tag)
            pushed = [json.loads(line) for line in client.push(name, tag=tag).splitlines()]
            assert not [line for line in pushed if "error" in line], pushed
            client.remove_image(f"{name}:{tag}", force=True)
        finally:
            client.close()
        return f"127.0.0.1:{self.relay.port}/bulk:{tag}"


@contextmanager
def slow_registry(place: Path) -> Iterator[Registry]:
    """A registry that keeps its images in `place`; images that were pulled from it are removed at the end."""
    program = need("docker-registry")
    [port] = free_ports(1)
    config = place / "registry.json"
    # JSON is YAML.
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(place / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    config.write_text(json.dumps(settings))
    process = subprocess.Popen([program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    relay = Relay(port)
    try:
        wait_until(lambda: _answers(port), 30, "the registry")
        yield Registry(port, relay)
    finally:
        relay.stop()
        process.terminate()
        process.wait(10)
        _forget_images(relay.port)


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/v2/", timeout=2).ok
    except requests.RequestException:
        return False


def _forget_images(port: int) -> None:
    client = docker.APIClient(f"unix://{SOCKET}", version="auto", timeout=60)
    try:
        for image in client.images(f"127.0.0.1:{port}/bulk"):
            client.remove_image(image["Id"], force=True)
    finally:
        client.close()
