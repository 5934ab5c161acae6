"""What runs in the containers of the tests: does what it is told, as the visitor would.

    docker_sandbox.py SOCKET BASE_PATH

One line of shell per connection; the answer is the exit code and what was printed. A line of HTTP below the base path
is answered with status 200. `python3` alone is needed, so that the image of the tests is the base image and this file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer


class Order(StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline().decode()
        if line.startswith("GET "):
            status = 200 if line.split()[1].startswith(sys.argv[2]) else 404
            self.wfile.write(f"HTTP/1.0 {status} As Asked\r\n\r\n".encode())
            return
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
        self.wfile.write(json.dumps([done.returncode, done.stdout + done.stderr]).encode())


class Server(ThreadingUnixStreamServer):
    daemon_threads = True


def main() -> None:
    print(f"starting at {sys.argv[1]}", flush=True)
    server = Server(sys.argv[1], Order)
    Path(sys.argv[1]).chmod(0o666)
    server.serve_forever()


if __name__ == "__main__":
    main()
