"""A wall clock that can be set for one program alone, by a library that is preloaded into it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import need

SOURCE = Path(__file__).with_name("clock.c")


@dataclass(frozen=True)
class Clock:
    """The library, and the file that says how many seconds it is off."""

    library: Path
    offset: Path

    @classmethod
    def make(cls, directory: Path) -> Clock:
        """Build the library; the clock is right at first."""
        clock = cls(directory / "clock.so", directory / "clock-offset")
        subprocess.run([need("cc"), "-shared", "-fPIC", "-O1", "-o", clock.library, SOURCE, "-ldl"], check=True)
        clock.set(0)
        return clock

    def set(self, seconds: int) -> None:
        """Set it so far from the host's."""
        self.offset.write_text(str(seconds))

    @property
    def environment(self) -> dict[str, str]:
        """What the program has to be started with."""
        return {"LD_PRELOAD": str(self.library), "CLOCK_OFFSET": str(self.offset)}
