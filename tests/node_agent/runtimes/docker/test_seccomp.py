"""The shipped seccomp profile on a real engine: what code in a sandbox cannot ask the kernel, and what still works."""

from __future__ import annotations

import json
import platform
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.jupyter import kernel_session
from node_agent.jupyter.command import JUPYTER_LAB
from node_agent.runtimes.docker.engine import DockerEngine
from node_agent.runtimes.docker.limits import DockerLimits
from node_agent.runtimes.docker.seccomp import PROFILE
from node_agent.settings import docker as docker_settings
from tests.support.docker_host import DockerHost, docker_host, inside, local_engine, notebook_image, sandbox_image
from tmpnb_common.keys import base_path

EPERM, EFAULT, ENOSYS = 1, 14, 38

X86_64 = platform.machine() == "x86_64"
CALLS = {
    # As in the kernel's tables; from 424 on they are the same everywhere.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "clone": (56, 220),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "clone3": (435, 435),
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
}
AF_UNIX, AF_INET, AF_NETLINK, AF_TIPC, AF_ALG, AF_VSOCK = 1, 2, 16, 30, 38, 40
SOCK_STREAM, SOCK_SEQPACKET = 1, 5
ABOVE_AN_INT = 1 << 32
CLONE_NEWUSER = 0x10000000
NETLINK_CRYPTO = 21

CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
result = libc.syscall(*[ctypes.c_long(int(word)) for word in sys.argv[1:]])
print(0 if result >= 0 else ctypes.get_errno())
"""

INT_80 = """
import ctypes, mmap, os
# mov eax, 102 (socketcall); mov ebx, 1 (socket); mov ecx, <arguments below 4 GiB>; int 0x80; ret
arguments = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, prot=3)
arguments.write(b"".join(n.to_bytes(4, "little") for n in (40, 1, 0)))
at = ctypes.addressof(ctypes.c_char.from_buffer(arguments))
code = b"\\x53\\xb8\\x66\\0\\0\\0\\xbb\\1\\0\\0\\0\\xb9" + at.to_bytes(4, "little") + b"\\xcd\\x80\\x5b\\xc3"
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print("went through", call(), flush=True)
os._exit(0)
"""
"""Asks for an AF_VSOCK socket as a 32-bit program would, through `socketcall`. MAP_32BIT is 0x40."""


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with local_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def sandbox(engine: DockerEngine) -> Iterator[Path]:
    """The directory of a sandbox with the shipped profile."""
    with docker_host(engine, sandbox_image()) as host:
        yield host.start().directory


@pytest.fixture(scope="module")
def loose(engine: DockerEngine) -> Iterator[Path]:
    """The same with the engine's own profile."""
    with docker_host(engine, sandbox_image(), DockerLimits(seccomp="")) as host:
        yield host.start().directory


def run(directory: Path, program: str, *arguments: int) -> tuple[int, str]:
    """Run a program of several lines; the code is a shell's, 128 and more for one that a signal ended."""
    code, printed = inside(directory, f"echo {program.encode().hex()} > /tmp/hex")
    assert code == 0, printed
    unpack = "open('/tmp/program.py', 'wb').write(bytes.fromhex(open('/tmp/hex').read()))"
    words = " ".join(map(str, arguments))
    return inside(directory, f'python3 -c "{unpack}"; python3 /tmp/program.py {words}; exit $?')


def errno_of(directory: Path, name: str, *arguments: int) -> int:
    """What the kernel says to a call; 0: it was carried out."""
    code, printed = run(directory, CALL, CALLS[name][0 if X86_64 else 1], *arguments)
    assert code == 0, printed
    return int(printed)


docker = pytest.mark.docker


@docker
@pytest.mark.parametrize(
    ("family", "protocol"), [(AF_VSOCK, 0), (AF_ALG, 0), (AF_NETLINK, NETLINK_CRYPTO), (AF_VSOCK + ABOVE_AN_INT, 0)]
)
def test_sockets_lead_to_no_hypervisor_and_not_into_the_kernel_s_cryptography(
    sandbox: Path, family: int, protocol: int
) -> None:
    """With bits above an int's, which the kernel does not read, the family is the same."""
    for kind in (SOCK_STREAM, SOCK_SEQPACKET):
        assert errno_of(sandbox, "socket", family, kind, protocol) == EPERM


@docker
@pytest.mark.parametrize("family", [AF_INET, AF_NETLINK, AF_TIPC, AF_VSOCK, AF_TIPC + ABOVE_AN_INT])
def test_pairs_of_sockets_are_unix_sockets(sandbox: Path, family: int) -> None:
    assert errno_of(sandbox, "socketpair", family, SOCK_STREAM, 0, 0) == EPERM
    # The kernel itself says that there is no room for the pair at the address 0.
    assert errno_of(sandbox, "socketpair", AF_UNIX, SOCK_STREAM, 0, 0) == EFAULT


@docker
@pytest.mark.parametrize("name", ["io_uring_setup", "io_uring_enter", "io_uring_register"])
def test_io_uring_does_not_exist(sandbox: Path, name: str) -> None:
    assert errno_of(sandbox, name, 0, 0, 0, 0) == ENOSYS


@docker
@pytest.mark.parametrize("name", ["keyctl", "add_key", "request_key"])
def test_the_kernel_s_keys_are_out_of_reach(sandbox: Path, name: str) -> None:
    assert errno_of(sandbox, name, 0, 0, 0, 0) == EPERM


@docker
@pytest.mark.parametrize("name", ["bpf", "userfaultfd", "perf_event_open", "mount", "open_by_handle_at"])
def test_calls_that_only_attackers_make_are_refused(sandbox: Path, name: str) -> None:
    assert errno_of(sandbox, name, 0, 0, 0, 0) == EPERM


@docker
def test_namespaces_of_a_visitor_s_own_cannot_be_had(sandbox: Path) -> None:
    assert errno_of(sandbox, "unshare", CLONE_NEWUSER) == EPERM
    assert errno_of(sandbox, "setns", 0, 0) == EPERM
    assert errno_of(sandbox, "clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0) == EPERM
    assert errno_of(sandbox, "clone3", 0, 0) == ENOSYS


@docker
@pytest.mark.skipif(not X86_64, reason="int 0x80 is x86's")
def test_a_32_bit_call_ends_its_process(sandbox: Path, loose: Path) -> None:
    code, printed = run(sandbox, INT_80)
    assert (code, "went through" in printed) == (128 + signal.SIGSYS, False), printed
    # With the engine's own profile it arrives: the program tries what it means to try.
    code, printed = run(loose, INT_80)
    assert (code, "went through" in printed) == (0, True), printed


@docker
@pytest.mark.skipif(not X86_64, reason="x32 is x86's")
def test_a_call_by_an_x32_number_ends_its_process(sandbox: Path) -> None:
    x32_getpid = 0x40000000 + 39
    code, printed = run(sandbox, f"import ctypes; print('came back', ctypes.CDLL(None).syscall({x32_getpid}))")
    assert (code, "came back" in printed) == (128 + signal.SIGSYS, False), printed


@docker
def test_a_sandbox_sees_its_own_control_group_alone(sandbox: Path) -> None:
    code, printed = inside(sandbox, "cat /proc/self/cgroup")
    assert code == 0
    assert {line.split(":", 2)[2] for line in printed.splitlines()} == {"/"}


@docker
def test_interfaces_can_be_listed(sandbox: Path) -> None:
    assert inside(sandbox, 'python3 -c "import socket; print(socket.if_nameindex())"') == (0, "[(1, 'lo')]\n")


WORK = """
import ctypes, multiprocessing, os, signal, socket, subprocess, sys, threading
import numpy

a = numpy.ones((300, 300)); assert (a @ a)[0, 0] == 300
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(abs, [-1, 2]) == [1, 2]
with multiprocessing.Manager() as manager:
    assert list(manager.list([1])) == [1]
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=4096); block.close(); block.unlink()
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
assert subprocess.run(["sh", "-c", "ls -l / | sort | wc -l"], capture_output=True).returncode == 0
server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname()).close()
import pty; pid, terminal = pty.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
print("worked")
"""


@docker
@pytest.mark.timeout(900)
def test_a_notebook_with_numpy_and_processes_works(engine: DockerEngine) -> None:
    with docker_host(engine, notebook_image(), template=JUPYTER_LAB) as host:
        assert computed(host, WORK) == "worked"


@docker
@pytest.mark.timeout(900)
def test_a_compiler_and_a_debugger_work(engine: DockerEngine) -> None:
    install = "RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev gdb >/dev/null"
    image = sandbox_image(f"USER 0\n{install}\nUSER 1000")
    with docker_host(engine, image) as host:
        directory = host.start().directory
        source = "int main(){return 42;}"
        code, printed = inside(directory, f"cd /tmp && echo '{source}' | gcc -g -x c - -o p && ./p; echo $?")
        assert (code, printed) == (0, "42\n")
        _, printed = inside(directory, "cd /tmp && gdb -batch -ex 'break main' -ex run -ex continue ./p")
        assert "exited with code 052" in printed


def computed(host: DockerHost, code: str) -> str:
    launch = host.start()
    return kernel_session.run(launch.directory / "jupyter.sock", base_path(launch.key), code, within=120)


# The setting.


def test_the_profile_is_the_shipped_one_unless_another_is_named(tmp_path: Path) -> None:
    assert docker_settings.seccomp_profile("") == PROFILE
    assert docker_settings.seccomp_profile("engine") == ""
    own = tmp_path / "own.json"
    own.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    assert json.loads(docker_settings.seccomp_profile(str(own))) == {"defaultAction": "SCMP_ACT_ALLOW"}


@pytest.mark.parametrize("text", ["unconfined", "relative.json", "/nowhere/there.json"])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"is '{text}'"):
        docker_settings.seccomp_profile(text)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000])
def test_a_file_that_holds_no_profile_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="which"):
        docker_settings.seccomp_profile(str(path))
