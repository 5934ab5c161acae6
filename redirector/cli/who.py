"""Who sits at this terminal, for the fleet's history."""

from __future__ import annotations

import os
import pwd


def operator() -> str:
    """The user's name, or at least a number."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
