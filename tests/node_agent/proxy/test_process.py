"""Tests of the proxy's watch over a real nginx, one look at a time."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from node_agent.errors import HostError
from node_agent.proxy.listeners import Listeners
from node_agent.proxy.nginx_program import find_nginx
from node_agent.proxy.process import Proxy
from tests.support.base_ports import free_ports
from tests.support.waiting import wait_until

pytestmark = pytest.mark.live


class Script(threading.Event):
    """A stop event: each wait on it is the next step of the script, and after the last one it is set."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self._steps = list(steps)

    def wait(self, timeout: float | None = None) -> bool:
        if self._steps:
            self._steps.pop(0)()
        else:
            self.set()
        return super().wait(min(timeout or 0, 0.05))


def configuration(run_dir: Path, port: int, answer: str) -> str:
    temporary = "".join(
        f"{kind}_temp_path {run_dir}/nginx/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; pid {run_dir}/nginx/nginx.pid; error_log stderr notice; events {{}}\n"
        f"http {{ access_log off; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 {answer}; }} }} }}\n"
    )


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def run_dir(tmp_path: Path, port: int) -> Iterator[Path]:
    (tmp_path / "nginx.conf").write_text(configuration(tmp_path, port, "one"))
    yield tmp_path
    pid_file = tmp_path / "nginx" / "nginx.pid"
    left = pid_file.exists() and psutil.pid_exists(int(pid_file.read_text()))
    assert not left, "nginx outlived its proxy"


def said(port: int) -> bytes:
    """The last line that nginx answers with; empty while it does not."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return said_on(connection)
    except OSError:
        return b""


def said_on(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while more := connection.recv(65536):
        answer += more
    return answer.rsplit(b"\r\n", 1)[-1]


def answers(port: int, word: bytes) -> Callable[[], object]:
    return lambda: wait_until(lambda: said(port) == word, 10, f"nginx to say {word!r}")


def run(run_dir: Path, port: int, *steps: Callable[[], object]) -> None:
    Proxy(find_nginx(), run_dir, ("127.0.0.1", port), Script(*steps)).run()


def test_nginx_serves_while_the_proxy_runs_and_ends_with_it(run_dir: Path, port: int) -> None:
    run(run_dir, port, answers(port, b"one"))
    assert said(port) == b""


def test_the_proxy_waits_until_the_agent_has_written_a_configuration(run_dir: Path, port: int) -> None:
    (run_dir / "nginx.conf").unlink()

    def write() -> None:
        assert said(port) == b""
        (run_dir / "nginx.conf").write_text(configuration(run_dir, port, "late"))

    run(run_dir, port, write, answers(port, b"late"))


def test_the_proxy_can_be_stopped_while_it_waits(run_dir: Path, port: int) -> None:
    (run_dir / "nginx.conf").unlink()
    run(run_dir, port)
    assert not (run_dir / "nginx").exists()


def test_a_changed_configuration_is_reloaded(run_dir: Path, port: int) -> None:
    changed = configuration(run_dir, port, "two")
    run(
        run_dir,
        port,
        answers(port, b"one"),
        lambda: (run_dir / "nginx.conf").write_text(changed),
        answers(port, b"two"),
    )


def test_an_unsound_configuration_leaves_the_old_one_in_use(
    run_dir: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    run(
        run_dir,
        port,
        answers(port, b"one"),
        lambda: (run_dir / "nginx.conf").write_text("nonsense"),
        answers(port, b"one"),
    )
    assert "the new configuration is unsound" in caplog.text


def test_a_configuration_that_was_removed_leaves_the_old_one_in_use(run_dir: Path, port: int) -> None:
    run(run_dir, port, answers(port, b"one"), (run_dir / "nginx.conf").unlink, answers(port, b"one"))


def test_a_killed_nginx_ends_the_proxy_and_its_orphaned_workers(run_dir: Path, port: int) -> None:
    """Workers outlive a killed master, hold the port, and hold the pipe of the access log."""
    config = (run_dir / "nginx.conf").read_text().replace("access_log off", "access_log /dev/stdout")
    (run_dir / "nginx.conf").write_text(config)
    workers: list[psutil.Process] = []

    def kill() -> None:
        master = psutil.Process(int((run_dir / "nginx" / "nginx.pid").read_text()))
        workers.extend(master.children())
        os.kill(master.pid, signal.SIGKILL)

    steps: list[Callable[[], object]] = [lambda: None] * 200
    with pytest.raises(HostError, match="nginx ended by itself with status -9"):
        run(run_dir, port, answers(port, b"one"), kill, *steps)
    assert workers
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert said(port) == b""


def test_whoever_comes_during_a_restart_is_answered_after_it_where_a_service_manager_holds_the_socket(
    run_dir: Path, port: int
) -> None:
    answered: list[bytes] = []
    with socket.create_server(("127.0.0.1", port)) as held:
        listeners = Listeners((held.fileno(),))
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as early:
                script = Script(partial(lambda early: answered.append(said_on(early)), early))
                Proxy(find_nginx(), run_dir, ("127.0.0.1", port), script, listeners=listeners).run()
    assert answered == [b"one", b"one"]


def test_a_configuration_that_nginx_refuses_from_the_start_is_an_error(run_dir: Path, port: int) -> None:
    (run_dir / "nginx.conf").write_text("nonsense")
    steps: list[Callable[[], object]] = [lambda: None] * 200
    with pytest.raises(HostError, match="nginx ended by itself with status 1"):
        run(run_dir, port, *steps)


def test_a_port_that_stays_taken_is_an_error_in_words(run_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        steps: list[Callable[[], object]] = [lambda: None] * 20
        with pytest.raises(HostError, match=f"port {port} on 127.0.0.1 is taken by another program"):
            run(run_dir, port, *steps)


def test_a_port_that_becomes_free_is_waited_for(run_dir: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as leaving:
        run(run_dir, port, leaving.close, answers(port, b"one"))


def test_an_address_of_another_machine_is_an_error_in_words(run_dir: Path) -> None:
    proxy = Proxy(find_nginx(), run_dir, ("192.0.2.1", 80), Script())
    with pytest.raises(HostError, match=r"cannot listen on 192\.0\.2\.1 port 80: EADDRNOTAVAIL"):
        proxy.run()


def test_the_access_log_reaches_a_stdout_that_nginx_could_not_open_itself(run_dir: Path, port: int) -> None:
    """As under systemd, where it is a socket."""
    config = (run_dir / "nginx.conf").read_text().replace("access_log off", "access_log /dev/stdout")
    (run_dir / "nginx.conf").write_text(config)
    ours, theirs = socket.socketpair()
    kept = os.dup(1)
    os.dup2(theirs.fileno(), 1)
    try:
        run(run_dir, port, answers(port, b"one"))
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        theirs.close()
    with ours:
        assert b'"GET / HTTP/1.0" 200' in ours.recv(65536)


def test_a_machine_without_nginx_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name, path=None: path and None)
    with pytest.raises(HostError, match="apt-get install nginx-light"):
        find_nginx()
