"""A throw-away certificate authority for tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Signs certificates that only those trust who are told to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._root.mkdir(parents=True, exist_ok=True)
        self.certificate = root / "authority.pem"
        self._key = root / "authority-key.pem"
        _openssl(
            ["req", "-x509", *KEY, "-days", "2", "-subj", "/CN=tmpnb test authority"],
            ["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign"],
            ["-keyout", str(self._key), "-out", str(self.certificate)],
        )

    def issue(self, directory: Path, *names: str) -> tuple[Path, Path]:
        """A fresh certificate for `names`, and its key, as certbot would name them."""
        directory.mkdir(parents=True, exist_ok=True)
        chain, key = directory / "fullchain.pem", directory / "privkey.pem"
        request, issued = self._root / "request.pem", self._root / "issued.pem"
        extensions = self._root / "extensions"
        extensions.write_text(
            f"subjectAltName={','.join(f'DNS:{name}' for name in names)}\nextendedKeyUsage=serverAuth\n"
        )
        fresh_key = directory / "privkey.pem.new"
        _openssl(["req", "-new", *KEY, "-subj", f"/CN={names[0]}", "-keyout", str(fresh_key), "-out", str(request)])
        _openssl(
            ["x509", "-req", "-days", "2", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key)],
            ["-CAcreateserial", "-extfile", str(extensions), "-out", str(issued)],
        )
        fresh_key.replace(key)
        chain.write_text(issued.read_text())
        return chain, key


def _openssl(*arguments: list[str]) -> None:
    subprocess.run(["openssl", *[word for part in arguments for word in part]], check=True, capture_output=True)
