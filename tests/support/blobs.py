"""Blobs for tests: tars in memory, as the worker writes them and as nobody should."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath


def tar_of(files: Mapping[str, bytes], members: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """A tar of these files with their directories, sorted, and of further members that have no bytes."""
    directories = {str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted({*files, *directories}):
            member = tarfile.TarInfo(name)
            if name in files:
                member.size, member.mode = len(files[name]), 0o644
                archive.addfile(member, io.BytesIO(files[name]))
            else:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
        for member in members:
            archive.addfile(member)
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """A member without bytes."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def digest_of(tar: bytes) -> str:
    return hashlib.sha256(tar).hexdigest()
