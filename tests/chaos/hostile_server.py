"""Takes the place of a Jupyter server at the socket of its sandbox, and gives odd answers for a minute: SOCKET."""

import os
import random
import socket
import sys
import time
from contextlib import suppress

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = [
    OK + b"Content-Type: multipart/x; boundary*=a; boundary*0=b\r\nContent-Length: 2\r\n\r\n{}",
    OK + b": \r\n\xff\xfe: \r\n\r\n{}",
    OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + b"A" * 1_000_000,
    OK + b"Content-Length: -5\r\n\r\n",
    OK + b"\r\n" + b"[" * 100_000,
    OK + b"Content-Encoding: gzip\r\n\r\nno",
    b"HTTP/1.1 999999 \r\n\r\n",
    b"\0" * 4096,
    b"",
]
SECONDS = 60


def main(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - as short as what an attacker types
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o666)  # noqa: PTH101 - likewise
        server.listen(64)
        server.settimeout(1)
        ends_at = time.time() + SECONDS
        while time.time() < ends_at:
            with suppress(OSError):
                client, _ = server.accept()
                with client:
                    client.settimeout(1)
                    client.recv(65536)
                    client.sendall(random.choice(ANSWERS))


if __name__ == "__main__":
    main(sys.argv[1])
