"""The smallest program that behaves like a Jupyter server on a UNIX socket: stub_server.py SOCKET BASE_PATH [DEED].

It answers what the agent asks, echoes its environment at `env` and its process at `pid`, and can start a child that
outlives it (`orphan`), exit (`exit`), or not listen at all (DEED `silent`, `crash`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.node_fakes import Request, UnixServer


def respond(request: Request) -> None:
    match request.path.removeprefix(sys.argv[2]).partition("?")[0]:
        case "api/kernels":
            request.answer_json([])
        case "env":
            request.answer_json(dict(os.environ))
        case "pid":
            request.answer_json(os.getpid())
        case "files":
            request.answer_json(sorted(each.name for each in Path().iterdir()))
        case "orphan":
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            request.answer_json(child.pid)
        case "ws":
            request.wfile.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            request.wfile.write(request.rfile.read(4).upper())
        case "work":
            subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.6: pass"], check=True)
            request.answer(200)
        case "exit":
            request.answer(200)
            threading.Timer(0.01, os._exit, [3]).start()
        case _:
            request.answer(200 if request.path.startswith(sys.argv[2]) else 404, json.dumps(request.path).encode())


def main() -> None:
    deed = sys.argv[3] if len(sys.argv) > 3 else ""
    print(f"starting at {sys.argv[1]}", flush=True)
    if deed == "crash":
        sys.exit("no such module: sense")
    if deed != "silent":
        UnixServer(Path(sys.argv[1]), respond)
    while True:
        time.sleep(1000)


if __name__ == "__main__":
    main()
