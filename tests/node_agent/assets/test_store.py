"""Browser files: found, read, stored once, lent to sandboxes, and gone with the last of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from node_agent.assets import browser_files
from node_agent.assets.browser_files import BrowserFiles, File, Place
from node_agent.assets.sharing import AssetSharing
from node_agent.assets.store import AssetStore
from node_agent.errors import EngineError, HostError

ID, OTHER = "0123456789abcdef", "fedcba9876543210"
LAB: list[File] = [("lab/index.html", b"<html>"), ("lab/main.js", b"the program")]


@pytest.fixture
def store(tmp_path: Path) -> AssetStore:
    store = AssetStore(tmp_path / "static")
    store.prepare()
    return store


# What is found


def test_the_files_of_a_prefix_are_jupyterlabs_and_the_extensions_of_it_and_of_the_system() -> None:
    assert browser_files.places("/opt/conda") == [
        Place("lab", "/opt/conda/share/jupyter/lab/static"),
        Place("labextensions", "/opt/conda/share/jupyter/labextensions"),
        Place("labextensions", "/usr/local/share/jupyter/labextensions"),
        Place("labextensions", "/usr/share/jupyter/labextensions"),
    ]


@pytest.mark.parametrize("inner", ["main.js.map", ".hidden", "a/.git/config", "a b.js", "ü.js", "a%2fb.js"])
def test_source_maps_and_names_that_an_address_would_escape_are_left_to_the_sandbox(inner: str) -> None:
    assert browser_files.wanted("lab", inner) is None


def test_names_of_scoped_extensions_are_taken() -> None:
    assert browser_files.wanted("labextensions", "@a/b-c/static/1.2_x.js") == "labextensions/@a/b-c/static/1.2_x.js"


def host(root: Path, **files: str) -> BrowserFiles:
    lab = root / "share/jupyter/lab/static"
    lab.mkdir(parents=True, exist_ok=True)
    for name, text in {"index.html": "<html>", **files}.items():
        (lab / name).write_text(text)
    return browser_files.of_host(str(root))


def test_a_hosts_files_have_another_id_once_one_of_them_changes(tmp_path: Path) -> None:
    before = host(tmp_path, **{"main.js": "one"})
    assert browser_files.of_host(str(tmp_path)).id == before.id
    assert ("lab/main.js", b"one") in list(before.read())
    assert host(tmp_path, **{"main.js": "another"}).id != before.id


def test_an_archives_files_lose_the_name_of_its_top_and_what_is_no_file_is_passed_over() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("static/main.js", "static/deep/a.css", "static/main.js.map"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"text"))
        link = tarfile.TarInfo("static/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    packed.seek(0)
    assert list(browser_files.of_archive("lab", packed)) == [("lab/main.js", b"text"), ("lab/deep/a.css", b"text")]


# What is stored


def test_files_are_stored_compressed_and_readable_for_nginx(store: AssetStore, tmp_path: Path) -> None:
    store.put(ID, LAB)
    stored = tmp_path / "static" / ID / "lab" / "main.js.gz"
    assert gzip.decompress(stored.read_bytes()) == b"the program"
    assert stored.stat().st_mode & 0o777 == 0o644
    assert stored.parent.stat().st_mode & 0o777 == 0o755
    assert store.has(ID)


def test_of_two_files_of_a_name_the_first_is_kept(store: AssetStore, tmp_path: Path) -> None:
    store.put(ID, [*LAB, ("lab/main.js", b"a later one")])
    assert gzip.decompress((tmp_path / "static" / ID / "lab" / "main.js.gz").read_bytes()) == b"the program"


def test_an_image_without_jupyterlab_leaves_nothing_behind(store: AssetStore, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no JupyterLab"):
        store.put(ID, [("labextensions/a/b.js", b"")])
    assert list((tmp_path / "static").iterdir()) == []


def test_what_a_crash_left_half_written_is_removed_at_the_next_start(store: AssetStore, tmp_path: Path) -> None:
    (tmp_path / "static" / f"{ID}.new" / "lab").mkdir(parents=True)
    store.prepare()
    assert list((tmp_path / "static").iterdir()) == []


def test_an_image_that_holds_far_too_much_is_refused(store: AssetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node_agent.assets.store.MAX_FILES", 1)
    with pytest.raises(HostError, match="too much"):
        store.put(ID, LAB)
    assert not store.has(ID)


def test_files_stay_while_a_sandbox_uses_them_and_go_with_the_last_one(store: AssetStore, tmp_path: Path) -> None:
    store.put(ID, LAB)
    store.use(ID, "first")
    store.use(ID, "second")
    assert store.sweep({"first", "second"}, current=()) == []
    assert store.sweep({"second"}, current=()) == []
    assert store.sweep(set(), current=()) == [ID]
    assert list((tmp_path / "static").iterdir()) == []


def test_a_disk_that_does_not_do_as_asked_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot tidy up shared files"):
        AssetStore(tmp_path / "gone").sweep(set(), current=())


def test_files_of_a_pools_own_image_stay_without_any_sandbox(store: AssetStore) -> None:
    store.put(ID, LAB)
    assert store.sweep(set(), current={ID}) == []
    assert store.has(ID)


# What is lent


class Images:
    """What images hold; counts how often each is read."""

    def __init__(self, **ids: str) -> None:
        self.ids = ids
        self.reads = 0
        self.files: list[File] = LAB
        self.away = False

    def __call__(self, image: str) -> BrowserFiles | None:
        if self.away:
            raise EngineError("the engine does not answer")
        return BrowserFiles(self.ids[image], self._read) if image in self.ids else None

    def _read(self) -> Iterable[File]:
        self.reads += 1
        return self.files


@pytest.fixture
def images() -> Images:
    return Images(old=ID, new=OTHER)


def test_an_images_files_are_read_once_for_all_its_sandboxes(store: AssetStore, images: Images) -> None:
    sharing = AssetSharing(store, images, base_url="")
    assert sharing.acquire("old", "first") == sharing.acquire("old", "second") == f"/static/{ID}"
    assert images.reads == 1


def test_an_agent_that_restarts_lends_what_is_there(store: AssetStore, images: Images) -> None:
    AssetSharing(store, images, base_url="").acquire("old", "first")
    assert AssetSharing(store, images, base_url="https://n1.example.org").acquire("old", "second") == (
        f"https://n1.example.org/static/{ID}"
    )
    assert images.reads == 1


def test_an_image_that_cannot_be_shared_serves_itself_and_is_not_read_again(store: AssetStore, images: Images) -> None:
    images.files = []
    sharing = AssetSharing(store, images, base_url="")
    assert sharing.acquire("old", "first") == ""
    assert sharing.acquire("old", "second") == ""
    assert images.reads == 1
    assert sharing.acquire("unheard of", "third") == ""


def test_while_the_engine_is_away_nothing_is_lent_and_after_it_is(store: AssetStore, images: Images) -> None:
    sharing = AssetSharing(store, images, base_url="")
    images.away = True
    assert sharing.acquire("old", "first") == ""
    images.away = False
    assert sharing.acquire("old", "second") == f"/static/{ID}"


def test_the_agents_loop_does_not_wait_for_an_image_that_is_being_unpacked(store: AssetStore, images: Images) -> None:
    sharing = AssetSharing(store, images, base_url="")

    def unpack() -> Iterable[File]:
        sharing.sweep(set(), set())
        return LAB

    images._read = unpack  # type: ignore[method-assign] # what happens while it reads is the point
    assert sharing.acquire("old", "first") == f"/static/{ID}"
    assert store.has(ID)


def test_the_files_of_an_old_image_go_once_its_last_sandbox_has_gone(store: AssetStore, images: Images) -> None:
    sharing = AssetSharing(store, images, base_url="")
    sharing.acquire("old", "first")
    sharing.acquire("new", "second")
    sharing.sweep({"first", "second"}, {"new"})
    assert store.has(ID)
    sharing.sweep({"second"}, {"new"})
    assert not store.has(ID)
    assert store.has(OTHER)
