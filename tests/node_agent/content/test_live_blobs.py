"""Blobs on their way into a real node: through its nginx, cut off, altered and too large."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.blobs import digest_of, tar_of
from tests.support.live_fleet import LiveNode
from tests.support.live_node import live_node, settled
from tests.support.waiting import wait_until

pytestmark = pytest.mark.live

BLOB_BYTES = 6_000_000
COURSE = tar_of({f"data {number}.bin": bytes([number]) * 1_000_000 for number in range(4)})


@pytest.fixture(scope="module")
def node() -> Iterator[LiveNode]:
    with live_node(CONTENT_BLOB_BYTES=str(BLOB_BYTES), CONTENT_BYTES=str(4 * BLOB_BYTES)) as node:
        node.start()
        settled(node, available=2)
        yield node


def put(node: LiveNode, digest: str, body: bytes) -> requests.Response:
    return requests.put(f"{node.url}/api/blobs/{digest}", data=body, headers=token(node), timeout=60)


def token(node: LiveNode) -> dict[str, str]:
    return {"Authorization": f"Bearer {node.token}"}


def held(node: LiveNode) -> Any:
    return requests.get(f"{node.url}/api/blobs", headers=token(node), timeout=10).json()


def half_done(node: LiveNode) -> list[Path]:
    """What lies in the store and is no whole blob."""
    root = node.state_dir / "content"
    digests = {blob["digest"] for blob in held(node)["blobs"]}
    return [*(root / ".work").iterdir(), *(path for path in root.iterdir() if path.name not in {".work", *digests})]


@contextmanager
def half_sent(node: LiveNode, digest: str, blob: bytes) -> Iterator[None]:
    """A sender that has sent half of a blob; it hangs up at the end."""
    address = urlsplit(node.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            f"PUT /api/blobs/{digest} HTTP/1.1\r\nHost: n1\r\nAuthorization: Bearer {node.token}\r\n"
            f"Content-Length: {len(blob)}\r\n\r\n".encode()
            + blob[: len(blob) // 2]
        )
        yield


def test_a_blob_of_megabytes_comes_through_nginx_and_is_held_whole(node: LiveNode) -> None:
    answer = put(node, digest_of(COURSE), COURSE)
    assert (answer.status_code, answer.json()["files"]) == (201, 4), answer.text
    assert digest_of(COURSE) in [blob["digest"] for blob in held(node)["blobs"]]


@pytest.mark.parametrize("with_token", [True, False])
def test_a_body_longer_than_a_blob_may_be_is_refused_in_json(node: LiveNode, with_token: bool) -> None:
    body = bytes(BLOB_BYTES + 1)
    url = f"{node.url}/api/blobs/{digest_of(body)}"
    answer = requests.put(url, data=body, headers=token(node) if with_token else {}, timeout=60)
    assert (answer.status_code, answer.json()["status"]) == (413, "bad_request")


def test_who_has_no_token_sends_nothing(node: LiveNode) -> None:
    blob = tar_of({"a": b"a" * 100_000})
    assert requests.put(f"{node.url}/api/blobs/{digest_of(blob)}", data=blob, timeout=60).status_code == 403


def test_bytes_that_are_not_those_of_the_name_leave_nothing(node: LiveNode) -> None:
    altered = bytearray(tar_of({"b": b"b" * 2_000_000}))
    digest = digest_of(bytes(altered))
    altered[1_000_000] ^= 1
    answer = put(node, digest, bytes(altered))
    assert 400 <= answer.status_code < 500, answer.text
    assert digest not in [blob["digest"] for blob in held(node)["blobs"]]
    assert half_done(node) == []


def test_a_sender_that_dies_in_mid_push_leaves_nothing_and_the_next_one_succeeds(node: LiveNode) -> None:
    blob = tar_of({"c": b"c" * 3_000_000})
    digest = digest_of(blob)
    with half_sent(node, digest, blob):
        wait_until(lambda: half_done(node), 30, "the blob to be unpacked as it comes")
    wait_until(lambda: not half_done(node), 30, "half a blob to be gone")
    assert put(node, digest, blob).status_code == 201


def test_half_a_blob_is_swept_when_the_agent_was_killed_over_it(node: LiveNode) -> None:
    blob = tar_of({"d": b"d" * 3_000_000})
    digest = digest_of(blob)
    with half_sent(node, digest, blob):
        wait_until(lambda: half_done(node), 30, "the blob to be unpacked as it comes")
        node.agent.kill()
    node.agent.start()
    settled(node, available=2)
    assert half_done(node) == []
    assert put(node, digest, blob).status_code == 201
