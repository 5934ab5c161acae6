"""How many streams are open, in all and for each client. Invariant: nobody's streams keep out another client's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redirector.model.clients import ONE_WIDTH, Network, Width, shares_of


class OpenStreams:
    """Counts them, in one thread."""

    def __init__(
        self, *, most: int, per_client: int, free: Sequence[Network] = (), widths: Sequence[Width] = ONE_WIDTH
    ) -> None:
        """Bound them.

        Args:
            most: in all.
            per_client: of one client address; wider IPv6 networks may have the part that their width says. 0: any.
            free: networks without a bound of their own.
            widths: the IPv6 networks that count.
        """
        self._most = most
        self._per_client = per_client
        self._free = free
        self._widths = widths
        self._held: Counter[str] = Counter()
        self.count = 0

    @contextmanager
    def one(self, address: str) -> Iterator[str]:
        """Count a stream as long as the block lasts; why it may not be, as a sentence, or an empty text."""
        shares = shares_of(address, self._free, self._widths) if self._per_client else ()
        if self.count >= self._most:
            yield "Too many people wait at this moment; try again in a minute."
            return
        if any(self._held[share.key] >= max(1, self._per_client * share.percent // 100) for share in shares):
            yield "Too many launches are under way from your address; try again in a minute."
            return
        self.count += 1
        self._held.update(share.key for share in shares)
        try:
            yield ""
        finally:
            self.count -= 1
            for share in shares:
                self._held[share.key] -= 1
                if not self._held[share.key]:
                    del self._held[share.key]
