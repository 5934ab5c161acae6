"""Gives each sandbox the address of the browser files that it shares with all others of its image."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection

from node_agent.assets.browser_files import BrowserFiles
from node_agent.assets.store import AssetStore
from node_agent.errors import EngineError, HostError

log = logging.getLogger("assets")


class AssetSharing:
    """What is on the store, for which image. Calls may come from several threads at once."""

    def __init__(self, store: AssetStore, files_of: Callable[[str], BrowserFiles | None], *, base_url: str) -> None:
        """A library whose addresses begin with `base_url`; `files_of` an image may raise `EngineError`."""
        self._store = store
        self._files_of = files_of
        self._base_url = base_url
        self._ids: dict[str, str] = {}
        """By image, as last seen."""
        self._unfit: set[str] = set()
        """Ids of what could not be put on the store; the reason was logged once."""
        self._lock = threading.Lock()

    def acquire(self, image: str, sandbox: str) -> str:
        """The address below which a sandbox's pages find their files; empty: it serves them itself.

        The first of an image waits a second or two, until they are unpacked; so do those beside it.
        """
        try:
            with self._lock:
                asset_id = self._stored(image)
                if asset_id is None:
                    return ""
                self._store.use(asset_id, sandbox)
        except (EngineError, HostError) as error:
            # Dearer without, but a notebook all the same.
            log.warning("browser files of image %s are not shared: %s", image, error)
            return ""
        return f"{self._base_url}/static/{asset_id}"

    def sweep(self, living: Collection[str], images: Collection[str]) -> None:
        """Remove the files of images that neither a pool nor a living sandbox has any more.

        Raises:
            HostError: the disk does not do as asked.
        """
        # The agent's loop calls this, and does not wait for an image that is being unpacked.
        if not self._lock.acquire(blocking=False):
            return
        try:
            current = {self._ids[image] for image in images if image in self._ids}
            for asset_id in self._store.sweep(living, current):
                log.info("removed the shared files of an old image, id=%s", asset_id)
        finally:
            self._lock.release()

    def _stored(self, image: str) -> str | None:
        files = self._files_of(image)
        if files is None or files.id in self._unfit:
            return None
        if not self._store.has(files.id):
            try:
                self._store.put(files.id, files.read())
            except HostError:
                self._unfit.add(files.id)
                raise
            log.info("browser files of image %s are shared, id=%s", image, files.id)
        self._ids[image] = files.id
        return files.id
