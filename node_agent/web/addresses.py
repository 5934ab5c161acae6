"""The addresses that browsers get: of sandboxes and of what they share, in both origin modes."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tmpnb_common.keys import base_path, name_of


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one node. With `own_origins` every sandbox has a host of its own, its public name below the node's.

    Never its key: the names of hosts travel in the open, in DNS and at the begin of TLS.
    """

    node_url: str
    own_origins: bool

    def sandbox(self, key: str, path: str) -> str:
        """Where `path` of a sandbox is: a path on the node's own host, or a whole address.

        The path is the same in both, so that the mode can change while sandboxes run.
        """
        inside = base_path(key).rstrip("/") + path
        if not self.own_origins:
            return inside
        parts = urlsplit(self.node_url)
        return f"{parts.scheme}://{name_of(key)}.{parts.netloc}{inside}"

    @property
    def shared(self) -> str:
        """What the addresses of shared files begin with: one origin for all sandboxes, for the sake of caches."""
        return self.node_url if self.own_origins else ""
