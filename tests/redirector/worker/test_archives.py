"""Archives from a real HTTP server: zip, tar and tar.gz, and what bad ones try."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from redirector.worker.archives import fetch_archive
from redirector.worker.downloads import ArchiveSource
from redirector.worker.errors import FetchError, TreeError
from redirector.worker.tree import Bounds
from tests.redirector.worker.conftest import BOUNDS, LOOPBACK, Unpacked, limits
from tests.support.forge import Forge, ForgeHandler, failing, garbled, hanging, redirecting, serving_forge

pytestmark = pytest.mark.slow

FILES = {"a.ipynb": b"{}", "data/b.csv": b"1,2\n"}


def zipped(files: Mapping[str, bytes], **links: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in links.items():
            member = zipfile.ZipInfo(name)
            member.create_system = 3
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, target)
    return body.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode=mode) as archive:  # type: ignore[call-overload]  # one of two modes
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


def member(
    name: str, body: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(body), kind, link
    return info, body


def fetch(
    forge: Forge, scratch: Path, body: bytes, *, bounds: Bounds = BOUNDS, etag: str = "", token: str = ""
) -> Unpacked | None:
    forge.files["/x"] = body
    source = ArchiveSource(f"{forge.url}/x", token, etag)
    with fetch_archive(source, scratch, bounds, LOOPBACK, limits(20)) as fetched:
        return None if fetched is None else Unpacked(fetched)


def files_of(forge: Forge, scratch: Path, body: bytes) -> dict[str, bytes]:
    result = fetch(forge, scratch, body)
    assert result is not None
    return result.files


@pytest.mark.parametrize("root", ["", "course-main/", "./"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar"])
def test_every_kind_holds_the_same_tree_with_and_without_a_directory_around_it(
    forge: Forge, scratch: Path, kind: str, root: str
) -> None:
    named = {f"{root}{name}": body for name, body in FILES.items()}
    if kind == "zip":
        body = zipped({name.removeprefix("./"): content for name, content in named.items()})
    else:
        body = tarred(
            *(member(name, content) for name, content in named.items()), mode="w:gz" if kind == "tar.gz" else "w"
        )
    assert files_of(forge, scratch, body) == FILES


def test_links_inside_are_followed_of_both_kinds(forge: Forge, scratch: Path) -> None:
    body = tarred(
        member("a", b"A"),
        member("soft", kind=tarfile.SYMTYPE, link="a"),
        member("hard", kind=tarfile.LNKTYPE, link="a"),
    )
    assert files_of(forge, scratch, body) == {"a": b"A", "soft": b"A", "hard": b"A"}
    assert files_of(forge, scratch, zipped({"a": b"A"}, soft="a")) == {"a": b"A", "soft": b"A"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member("../x", b"x")], "out of the tree"),
        ([member("/etc/x", b"x")], "absolute"),
        ([member("a/../../x", b"x")], "out of the tree"),
        ([member("a", kind=tarfile.SYMTYPE, link="/etc/passwd")], "out of the tree"),
        ([member("d/a", kind=tarfile.SYMTYPE, link="../../x"), member("x")], "out of the tree"),
        ([member("a", kind=tarfile.LNKTYPE, link="../../etc/passwd")], "out of the tree"),
        ([member("a", kind=tarfile.LNKTYPE, link="b"), member("b")], "does not hold before it"),
        ([member("null", kind=tarfile.CHRTYPE)], "device"),
        ([member("pipe", kind=tarfile.FIFOTYPE)], "device"),
        ([member("caf\udce9", b"x")], "UTF-8"),
        ([member("a", b"x"), member("a", b"y")], "twice"),
        ([member("a", b"x"), member("a/b", b"y")], "a file and a directory"),
        ([member("a/b", b"y"), member("a", b"x")], "twice"),
    ],
)
def test_members_that_would_surprise_are_refused(
    forge: Forge, scratch: Path, members: list[tuple[tarfile.TarInfo, bytes]], words: str
) -> None:
    with pytest.raises(TreeError, match=words):
        fetch(forge, scratch, tarred(*members))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a\\..\\x"])
def test_a_zip_leads_nowhere_either(forge: Forge, scratch: Path, name: str) -> None:
    with pytest.raises(TreeError):
        fetch(forge, scratch, zipped({name: b"x"}))
    with pytest.raises(TreeError, match="out of the tree"):
        fetch(forge, scratch, zipped({"a": b""}, link="/etc/passwd"))


def bomb_zip() -> bytes:
    return zipped({"zeros": b"\0" * 20_000_000})


def bomb_gzip() -> bytes:
    return gzip.compress(b"\0" * 60_000_000, 1)


def many_files() -> bytes:
    return zipped({f"f{number}": b"" for number in range(100_000)})


def many_members() -> bytes:
    return tarred(*(member(f"f{number}") for number in range(20_000)))


@pytest.mark.parametrize("bomb", [bomb_zip, bomb_gzip, many_files, many_members])
def test_bombs_end_at_the_bounds(forge: Forge, scratch: Path, bomb: Callable[[], bytes]) -> None:
    with pytest.raises(TreeError, match="more than"):
        fetch(forge, scratch, bomb())
    assert sum(path.stat().st_size for path in scratch.rglob("*")) < 40_000_000


def lying_zip() -> bytes:
    """A zip whose directory says that a file of 20 MB has 10 bytes."""
    body = bytearray(bomb_zip())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = body.rindex(signature) + offset
        body[at : at + 4] = (10).to_bytes(4, "little")
    return bytes(body)


def boasting_zip() -> bytes:
    """A zip whose directory says that a file of 2 bytes has 1000."""
    body = bytearray(zipped({"a": b"{}"}))
    at = body.rindex(b"PK\x01\x02") + 24
    body[at : at + 4] = (1000).to_bytes(4, "little")
    return bytes(body)


@pytest.mark.parametrize("make", [lying_zip, boasting_zip])
def test_a_zip_that_lies_about_its_sizes_is_damaged(forge: Forge, scratch: Path, make: Callable[[], bytes]) -> None:
    with pytest.raises(TreeError, match=r"damaged|shorter"):
        fetch(forge, scratch, make())


@pytest.mark.parametrize("cut", [20, 200, 600])
def test_a_tar_that_ends_too_soon_is_damaged(forge: Forge, scratch: Path, cut: int) -> None:
    body = tarred(member("a", b"x" * 1000), mode="w")[:cut]
    with pytest.raises(TreeError):
        fetch(forge, scratch, body)


@pytest.mark.parametrize("body", [b"", b"<html>not found</html>", b"PK\x03\x04 and no more", b"\x1f\x8b and no more"])
def test_what_is_no_archive_is_told(forge: Forge, scratch: Path, body: bytes) -> None:
    with pytest.raises(TreeError):
        fetch(forge, scratch, body)


def test_an_encrypted_zip_is_told(forge: Forge, scratch: Path) -> None:
    body = bytearray(zipped({"a": b"x"}))
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        body[body.index(signature) + offset] |= 1
    with pytest.raises(TreeError, match="encrypted"):
        fetch(forge, scratch, bytes(body))


def test_an_archive_is_downloaded_again_only_once_it_has_changed(forge: Forge, scratch: Path) -> None:
    first = fetch(forge, scratch, zipped(FILES))
    assert first is not None
    assert fetch(forge, scratch, zipped(FILES), etag=first.version) is None
    assert fetch(forge, scratch, zipped({"other": b""}), etag=first.version) is not None


def test_a_redirect_within_the_rules_is_followed(forge: Forge, scratch: Path) -> None:
    forge.files["/y"] = zipped(FILES)
    forge.behaviour = lambda handler: handler.path == "/x" and redirecting("/y")(handler)
    assert files_of(forge, scratch, b"") == FILES


def test_a_token_goes_to_the_source_only(forge: Forge, scratch: Path, tmp_path: Path) -> None:
    with serving_forge(tmp_path / "other") as other:
        other.files["/y"] = zipped(FILES)
        forge.behaviour = redirecting(f"{other.url}/y")
        result = fetch(forge, scratch, b"", token="secret-token-of-a-test")
        assert result is not None
        assert result.files == FILES
        assert [headers.get("Authorization") for _, headers in forge.requests] == ["Bearer secret-token-of-a-test"]
        assert [headers.get("Authorization") for _, headers in other.requests] == [None]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "no public network"),
        ("http://10.0.0.1/", "no public network"),
        ("file:///etc/passwd", "no https address"),
        ("ftp://127.0.0.1/x", "no https address"),
        ("", "no address"),
        ("/x", "redirects more than"),
    ],
)
def test_other_redirects_are_refused(forge: Forge, scratch: Path, target: str, words: str) -> None:
    forge.behaviour = redirecting(target)
    with pytest.raises(FetchError, match=words):
        fetch(forge, scratch, b"")


@pytest.mark.parametrize("behaviour", [garbled, failing], ids=["garbled", "failing"])
def test_an_ill_host_is_an_error_in_words(
    forge: Forge, scratch: Path, behaviour: Callable[[ForgeHandler], bool]
) -> None:
    forge.behaviour = behaviour
    with pytest.raises((FetchError, TreeError)):
        fetch(forge, scratch, b"")


def test_a_host_that_sends_a_byte_and_no_more_is_given_up(forge: Forge, scratch: Path) -> None:
    forge.behaviour = hanging
    source = ArchiveSource(f"{forge.url}/x")
    with (
        pytest.raises(FetchError, match="not fetched within 1 s"),
        fetch_archive(source, scratch, BOUNDS, LOOPBACK, limits(1)),
    ):
        pass


def test_a_download_beyond_its_bound_is_given_up(forge: Forge, scratch: Path) -> None:
    forge.files["/x"] = b"PK" + bytes(3_000_000)
    source = ArchiveSource(f"{forge.url}/x")
    with (
        pytest.raises(FetchError, match="longer than 1000000 bytes"),
        fetch_archive(source, scratch, BOUNDS, LOOPBACK, limits(20, disk_bytes=1_000_000)),
    ):
        pass
