"""The store of blobs in a directory and on a real S3 server, which promise the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from redirector.worker.errors import BlobDamagedError, BlobStoreError, NoRoomError
from redirector.worker.object_store import ObjectStore
from tests.support.small_disk import fill, tmpfs

BODY = b"a tar would be here" * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Kept:
    """A store, and what is in it, altered behind its back."""

    def __init__(self, store: ObjectStore, alter: Callable[[str, bytes], None]) -> None:
        self.store = store
        self.alter = alter


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    if request.param == "directory":
        place = tmp_path / "blobs"

        def overwrite(name: str, body: bytes) -> None:
            (place / name).write_bytes(body)

        return Kept(ObjectStore("", place, tmp_path / "scratch"), overwrite)
    address = request.getfixturevalue("s3")
    values = {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "REGION": "us-east-1", "ENDPOINT_URL": address}
    for name, value in {**values, "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket=tmp_path.name.replace("_", "-")[:60].strip("-"))
    bucket = tmp_path.name.replace("_", "-")[:60].strip("-")

    def put(name: str, body: bytes) -> None:
        client.put_object(Bucket=bucket, Key=f"fleet/{name}", Body=body)

    return Kept(ObjectStore(f"s3://{bucket}/fleet", tmp_path / "unused", tmp_path / "scratch"), put)


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob.tar"
    path.write_bytes(BODY)
    return path


def test_a_blob_comes_back_as_it_was(kept: Kept, blob: Path, tmp_path: Path) -> None:
    kept.store.put(DIGEST, blob)
    kept.store.put(DIGEST, blob)
    with kept.store.opened(DIGEST) as path:
        assert path.read_bytes() == BODY
    assert list((tmp_path / "scratch").iterdir()) == []
    kept.store.delete(DIGEST)
    kept.store.delete(DIGEST)
    with pytest.raises(BlobDamagedError, match="lost a blob"), kept.store.opened(DIGEST):
        pass


def test_an_altered_blob_is_known(kept: Kept, blob: Path) -> None:
    kept.store.put(DIGEST, blob)
    kept.alter(f"blobs/{DIGEST[:2]}/{DIGEST}", b"something else")
    with pytest.raises(BlobDamagedError, match="altered"), kept.store.opened(DIGEST):
        pass


def test_a_store_belongs_to_the_database_that_marked_it(kept: Kept) -> None:
    kept.store.check_mark("m" * 32)
    kept.store.check_mark("m" * 32)
    with pytest.raises(BlobStoreError, match="another database"):
        kept.store.check_mark("n" * 32)
    kept.alter("mark", b"x" * 1_000_000)
    with pytest.raises(BlobStoreError, match="another database"):
        kept.store.check_mark("m" * 32)


def test_a_store_that_does_not_answer_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = ObjectStore("s3://bucket/fleet", tmp_path / "unused", tmp_path / "scratch")
    with pytest.raises(BlobStoreError, match="store of blobs") as caught:
        store.check_mark("m" * 32)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, blob: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tmpfs(tmp_path / "disk", "1m"):
        store = ObjectStore("", tmp_path / "disk" / "blobs", tmp_path / "scratch")
        with pytest.raises(NoRoomError, match="MiB free"):
            store.put(DIGEST, blob)
        monkeypatch.setattr("redirector.worker.object_store.check_free", lambda *_: None)
        fill(tmp_path / "disk")
        with pytest.raises((NoRoomError, BlobStoreError)):
            store.put(DIGEST, blob)
        assert not list((tmp_path / "disk" / "blobs").rglob(DIGEST))
