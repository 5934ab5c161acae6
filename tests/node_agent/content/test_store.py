"""Tests of the blobs on a node's disk: taken whole or not at all, bounded, adopted, and kept while they are needed."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from node_agent.content.store import BlobStore
from node_agent.content.unpacking import EXTENSION_BYTES, MOST_MEMBERS
from node_agent.errors import ContentError
from tests.support.blobs import digest_of, member, tar_of
from tests.support.small_disk import tmpfs

LESSON = {
    "lesson.ipynb": b'{"cells": []}',
    "data/small.csv": b"1,2\n",
    "data/large.bin": b"x" * 5000,
    ".git/HEAD": b"ref",
}
NOT_NEEDED: dict[str, int] = {}


def store_at(root: Path, uses: dict[str, int] = NOT_NEEDED, **sizes: int) -> BlobStore:
    given = {"copy_bytes": 4096, "limit_bytes": 1 << 20, "blob_bytes": 1 << 19} | sizes
    store = BlobStore(root / "content", uses=lambda digest: uses.get(digest, 0), **given)
    store.prepare()
    return store


def put(store: BlobStore, files: dict[str, bytes]) -> str:
    return put_tar(store, tar_of(files))


def put_tar(store: BlobStore, tar: bytes) -> str:
    store.put(digest_of(tar), len(tar), io.BytesIO(tar))
    return digest_of(tar)


def refused(store: BlobStore, tar: bytes, digest: str = "") -> str:
    with pytest.raises(ContentError) as caught:
        store.put(digest or digest_of(tar), len(tar), io.BytesIO(tar))
    assert nothing_half(store)
    return caught.value.word


def nothing_half(store: BlobStore) -> bool:
    here = {path.name for path in store.root.iterdir()}
    return here == {".work", *(blob.digest for blob in store.blobs())} and not list((store.root / ".work").iterdir())


def test_a_blob_lies_below_its_digest_with_large_files_as_links_and_hidden_names_left_out(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    digest = put(store, LESSON)
    home = store.home(digest)
    assert (home / "lesson.ipynb").read_bytes() == LESSON["lesson.ipynb"]
    assert not (home / "data" / "small.csv").is_symlink()
    assert (home / "data" / "large.bin").readlink() == store.root / digest / "large" / "data" / "large.bin"
    assert (home / "data" / "large.bin").read_bytes() == LESSON["data/large.bin"]
    assert not (home / ".git").exists()
    blob = store.find(digest)
    assert blob is not None
    assert (blob.files, blob.copied_bytes, blob.linked_bytes, blob.linked) == (3, 17, 5000, ("data/large.bin",))
    assert nothing_half(store)


def test_a_notebook_is_never_a_link_whatever_its_size(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert not (store.home(put(store, {"big.ipynb": b"x" * 9000})) / "big.ipynb").is_symlink()


def test_every_sandbox_can_read_what_is_there_and_nobody_can_list_the_digests(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store = store_at(tmp_path)
        digest = put(store, LESSON)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o711
    for path in (store.root / digest).rglob("*"):
        if not path.is_symlink() and path.name != "blob.json":
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize(
    "hostile",
    [
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("inner", tarfile.SYMTYPE, "a.txt"),
        member("hard", tarfile.LNKTYPE, "a.txt"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("sparse", tarfile.GNUTYPE_SPARSE),
        member("../out"),
        member("/etc/cron.d/x"),
        member("sub/../../out"),
        member("line\nbreak"),
        member("a.txt"),
        member("a.txt/below"),
        member("x" * 256),
        member("/".join(["deep"] * 300)),
        member("bad-\udcff-name"),
    ],
    ids=lambda one: repr(one.name[:20]),
)
def test_a_hostile_member_spoils_the_blob_and_leaves_nothing(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        plain = member("a.txt")
        plain.size = 1
        archive.addfile(plain, io.BytesIO(b"a"))
        archive.addfile(hostile)
    assert refused(store_at(tmp_path), out.getvalue()) == "bad_blob"
    assert not (tmp_path / "out").exists()


def test_a_count_without_end_is_cut(tmp_path: Path) -> None:
    many = tar_of({}, [member(f"f{number}") for number in range(MOST_MEMBERS + 1)])
    assert refused(store_at(tmp_path, limit_bytes=1 << 30, blob_bytes=1 << 29), many) == "bad_blob"


def test_a_name_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, EXTENSION_BYTES + 1
    assert refused(store_at(tmp_path), header.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240)) == "bad_blob"


def test_a_tar_that_claims_more_bytes_than_came_is_refused(tmp_path: Path) -> None:
    liar = tarfile.TarInfo("a.txt")
    liar.size = 1 << 40
    assert refused(store_at(tmp_path), liar.tobuf() + b"a" * 1024) == "bad_blob"


@pytest.mark.parametrize("body", [b"", b"no tar" * 500])
def test_what_is_no_tar_is_refused(tmp_path: Path, body: bytes) -> None:
    assert refused(store_at(tmp_path), body) == "bad_blob"


def test_a_tar_of_nothing_is_an_empty_home(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert list(store.home(put(store, {})).iterdir()) == []


def test_bytes_with_another_digest_are_refused(tmp_path: Path) -> None:
    assert refused(store_at(tmp_path), tar_of(LESSON), "0" * 64) == "bad_blob"


def test_a_body_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    store, tar = store_at(tmp_path), tar_of(LESSON)
    with pytest.raises(ConnectionError):
        store.put(digest_of(tar), len(tar), io.BytesIO(tar[:-100]))
    assert nothing_half(store)


def test_one_that_is_there_already_is_not_read_again(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    digest = put(store, LESSON)
    assert store.put(digest, 10, io.BytesIO()).digest == digest


def test_two_that_bring_one_blob_at_once_both_succeed(tmp_path: Path) -> None:
    store, tar = store_at(tmp_path), tar_of(LESSON)
    both = threading.Barrier(2)

    class Waits(io.BytesIO):
        def __init__(self, body: bytes) -> None:
            super().__init__(body)
            self.first = True

        def read(self, size: int | None = -1, /) -> bytes:
            if self.first:
                self.first = False
                both.wait(10)
            return super().read(size)

    threads = [threading.Thread(target=store.put, args=(digest_of(tar), len(tar), Waits(tar))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [blob.digest for blob in store.blobs()] == [digest_of(tar)]
    assert nothing_half(store)


def test_the_least_recently_used_goes_first_and_never_one_that_is_needed(tmp_path: Path) -> None:
    uses: dict[str, int] = {}
    store = store_at(tmp_path, uses, limit_bytes=150_000)
    first, second, third = (put(store, {"a": bytes([number]) * 4000, "b": bytes(25_000)}) for number in range(3))
    for age, digest in enumerate((third, second, first)):
        os.utime(store.root / digest, (1000 + age, 1000 + age))
    uses[third] = 1
    fourth = put(store, {"a": b"4" * 4000, "b": bytes(25_000)})
    assert {blob.digest for blob in store.blobs()} == {first, third, fourth}
    uses.update({first: 2, fourth: 1})
    assert refused(store, tar_of({"a": b"5" * 40_000, "b": bytes(25_000)})) == "no_room"
    with pytest.raises(ContentError, match="needs"):
        store.delete(first)
    uses[first] = 0
    store.delete(first)
    with pytest.raises(ContentError, match="does not hold"):
        store.delete(first)
    assert nothing_half(store)


def test_a_blob_that_is_too_large_and_any_where_contents_are_off_are_refused(tmp_path: Path) -> None:
    assert refused(store_at(tmp_path, blob_bytes=1000), tar_of(LESSON)) == "too_large"
    off = store_at(tmp_path, limit_bytes=0)
    assert (off.works, refused(off, tar_of(LESSON))) == (False, "off")


def test_the_next_agent_adopts_whole_blobs_and_sweeps_half_ones(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    whole, half, emptied = (put(store, LESSON | {"n": str(number).encode()}) for number in range(3))
    (store.root / half / "blob.json").unlink()
    # As after a power cut, on a file system that writes names before bytes.
    os.truncate(store.home(emptied) / "lesson.ipynb", 0)
    (store.root / ".work" / "abc").mkdir()
    (store.root / ".work" / "abc" / "file").write_text("half")
    again = store_at(tmp_path)
    assert [blob.digest for blob in again.blobs()] == [whole]
    assert nothing_half(again)


def test_a_blob_that_was_altered_is_not_given_on_and_mended_in_place_by_the_next_one(tmp_path: Path) -> None:
    uses = {digest_of(tar_of(LESSON)): 1}
    store = store_at(tmp_path, uses)
    digest = put(store, LESSON)
    assert store.use(digest) is not None
    (store.root / digest / "large" / "data" / "large.bin").write_bytes(b"y" * 5000)
    assert store.use(digest) is None
    assert store.find(digest) is None
    link = tmp_path / "a link in somebody's home"
    link.symlink_to(store.root / digest / "large" / "data" / "large.bin")
    assert link.read_bytes() == b"y" * 5000, "whoever has links into it keeps what they lead to"
    put(store, LESSON)
    assert link.read_bytes() == LESSON["data/large.bin"]
    assert store.use(digest) is not None


def test_whoever_waits_for_a_blob_is_told_when_it_has_come(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    came: list[str] = []
    store.when_arrived(came.append)
    assert came == []
    digest = put(store, LESSON)
    assert came == [digest]


def test_a_full_disk_is_a_clear_word_and_leaves_nothing(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "400k"):
        store = store_at(tmp_path / "disk")
        assert refused(store, tar_of({"a.txt": bytes(500_000)})) == "no_room"
        # Its files take whole blocks of the disk, many more than the bytes that came.
        assert refused(store, tar_of({f"{number}.txt": b"x" for number in range(150)})) == "no_room"
        put(store, LESSON)
