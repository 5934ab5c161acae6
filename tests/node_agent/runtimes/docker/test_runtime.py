"""Sandboxes on a real Docker Engine: what code inside them can and cannot do, and what the agent sees of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from node_agent.errors import EngineError
from node_agent.runtimes.docker.engine import SOCKET, DockerEngine
from node_agent.runtimes.docker.limits import MIB, DockerLimits, Mount
from node_agent.runtimes.docker.runtime import exit_reason
from tests.support.docker_host import DockerHost, docker_host, inside, local_engine, sandbox_image
from tests.support.waiting import wait_until

pytestmark = pytest.mark.docker

BURN = "import time\nwhile time.process_time() < 0.6: pass"
TERMINAL = """import os, pty, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "-i"])
os.write(terminal, b"until [ -e /tmp/done ]; do sleep 0.1; done\\n")
while True:
    os.read(terminal, 1000)
"""
SMALL = DockerLimits(memory_bytes=64 * MIB, home_bytes=8 * MIB, tmp_bytes=4 * MIB, shm_bytes=4 * MIB, pids=20)


def script(code: str) -> str:
    """A line of shell that runs lines of Python without a single quote in them."""
    return f"python3 -c 'exec({json.dumps(code)})'"


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with local_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> str:
    engine.ping()
    return sandbox_image()


@pytest.fixture
def host(engine: DockerEngine, image: str) -> Iterator[DockerHost]:
    with docker_host(engine, image) as host:
        yield host


@pytest.fixture
def small(engine: DockerEngine, image: str) -> Iterator[DockerHost]:
    with docker_host(engine, image, SMALL) as host:
        yield host


# What code inside cannot do.


def test_code_inside_can_neither_add_to_nor_replace_anything_in_its_sealed_directory(host: DockerHost) -> None:
    launch = host.start()
    # As the agent does once the socket is there.
    launch.directory.chmod(0o755)
    socket = launch.directory / "jupyter.sock"
    before = socket.stat().st_ino
    for deed in (
        f"touch {launch.directory}/more",
        f"mkdir {launch.directory}/more",
        f"ln -s / {launch.directory}/more",
        f"rm -f {socket}",
        f"mv {socket} {launch.directory}/other",
        f"mv /tmp/x {socket}",
        f"chmod 777 {launch.directory}",
        f"rmdir {launch.directory}",
        f"mount -t tmpfs none {launch.directory}",
    ):
        code, printed = inside(launch.directory, f"touch /tmp/x; {deed}")
        assert code != 0, (deed, printed)
    assert [entry.name for entry in launch.directory.iterdir()] == ["jupyter.sock"]
    assert socket.stat().st_ino == before


def test_the_seal_holds_after_the_directory_was_renamed(host: DockerHost) -> None:
    launch = host.start()
    launch.directory.chmod(0o755)
    claimed = host.run_dir / "claimed"
    launch.directory.rename(claimed)
    code, _ = inside(claimed, f"touch {launch.directory}/more")
    assert code != 0
    assert [entry.name for entry in claimed.iterdir()] == ["jupyter.sock"]


def test_code_inside_sees_no_other_sandbox(host: DockerHost) -> None:
    first, second = host.start(), host.start()
    _, printed = inside(first.directory, f"ls {host.run_dir}/ready")
    assert printed.split() == [first.directory.name]
    code, _ = inside(first.directory, f"ls {second.directory}")
    assert code != 0


def test_code_inside_can_look_up_its_own_host_name_without_a_network(host: DockerHost) -> None:
    look = "import socket; print(socket.gethostbyname(socket.gethostname()))"
    assert inside(host.start().directory, f'python3 -c "{look}"') == (0, "127.0.1.1\n")


def test_code_inside_reaches_no_network(host: DockerHost) -> None:
    launch = host.start()
    _, interfaces = inside(launch.directory, "ls /sys/class/net")
    assert interfaces.split() == ["lo"]
    connect = "import socket; socket.create_connection(('1.1.1.1', 53), 5)"
    code, printed = inside(launch.directory, f'python3 -c "{connect}"')
    assert code != 0
    assert "unreachable" in printed


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/usr/local", "/var/tmp", "/run", "/home", "/sys/fs/cgroup", "/proc/sys"]
)
def test_code_inside_cannot_write_outside_its_memory(host: DockerHost, path: str) -> None:
    code, _ = inside(host.start().directory, f"touch {path}/x")
    assert code != 0


def test_code_inside_is_an_ordinary_user_without_privileges_or_a_way_to_more(host: DockerHost) -> None:
    launch = host.start()
    _, status = inside(launch.directory, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["1000"] * 4
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


def test_the_disk_of_a_sandbox_is_bounded_and_in_memory(small: DockerHost) -> None:
    launch = small.start()
    for path, size in (("/home/somebody", 8), ("/tmp", 4), ("/dev/shm", 4)):
        code, printed = inside(
            launch.directory, f"dd if=/dev/zero of={path}/x bs=1M count=100; ls -l {path}/x; rm {path}/x"
        )
        assert "No space left" in printed, path
        assert f" {size * MIB} " in printed, path
        assert code == 0


def test_the_processor_time_of_a_sandbox_is_counted_whatever_in_it_uses_it(host: DockerHost) -> None:
    launch = host.start()
    before = host.runtime.usage(launch.name).processor_seconds
    inside(launch.directory, script(BURN))
    after = host.runtime.usage(launch.name).processor_seconds
    assert before is not None
    assert after is not None
    assert 0.5 < after - before < 30


def test_a_program_in_a_terminal_is_seen_until_it_is_done(host: DockerHost) -> None:
    launch = host.start()
    assert not host.runtime.runs_program(launch.name)
    inside(launch.directory, f"{script(TERMINAL)} > /tmp/out 2>&1 &")
    wait_until(lambda: host.runtime.runs_program(launch.name), 20, "the program")
    inside(launch.directory, "touch /tmp/done")
    wait_until(lambda: not host.runtime.runs_program(launch.name), 20, "its end")
    code, _ = inside(launch.directory, "pgrep -x bash || ls /proc/*/exe -l | grep bash")
    assert code == 0, "the shell still waits for a line"


def test_the_processes_of_a_sandbox_are_bounded(small: DockerHost) -> None:
    launch = small.start()
    _, printed = inside(launch.directory, "for i in $(seq 50); do sleep 5 & done; wait")
    assert "Cannot fork" in printed or "Resource temporarily unavailable" in printed


def test_a_sandbox_out_of_memory_ends_and_is_seen_as_such(engine: DockerEngine, image: str) -> None:
    hungry = "python3 -c 'x = bytearray(10**9)' {socket} {base_path}"
    with docker_host(engine, image, SMALL, hungry) as host:
        launch = host.launch()
        host.runtime.start(launch)
        wait_until(lambda: not host.runtime.instances()[0].alive, 30, "the end")
        # Whether the engine hears of it from the kernel depends on the kernel.
        assert host.runtime.instances()[0].detail in ("out of memory", "killed by hand or out of memory")


def test_a_process_that_takes_too_much_memory_ends_and_the_sandbox_lives_on(small: DockerHost) -> None:
    launch = small.start()
    code, _ = inside(launch.directory, "python3 -c 'x = bytearray(10**9)'")
    assert code == 137
    assert inside(launch.directory, "echo alive") == (0, "alive\n")
    assert small.runtime.instances()[0].alive


# What it can.


def test_code_inside_can_write_and_run_programs_in_its_home(host: DockerHost) -> None:
    launch = host.start()
    assert inside(launch.directory, 'cd && pwd && printf "#!/bin/sh\\necho ran" > p && chmod +x p && ./p') == (
        0,
        "/home/somebody\nran\n",
    )


def test_environment_mounts_and_hosts_reach_the_sandbox(engine: DockerEngine, image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "lesson").write_text("one")
    limits = DockerLimits(
        mounts=(Mount(str(tmp_path), "/course"), Mount(str(tmp_path), "/shared", read_only=False)),
        environment=(("COURSE", "physics"),),
        extra_hosts=(("somewhere", "192.0.2.7"),),
    )
    with docker_host(engine, image, limits) as host:
        launch = host.start()
        assert inside(launch.directory, "cat /course/lesson; echo $COURSE; grep -c 192.0.2.7 /etc/hosts") == (
            0,
            "onephysics\n1\n",
        )
        assert inside(launch.directory, "touch /course/x")[0] != 0
        assert inside(launch.directory, "touch /shared/x")[0] == 0


# What its home starts with.

FILLED = """
USER 0
RUN mkdir -p /home/somebody/data && echo one > /home/somebody/index.ipynb && echo two > /home/somebody/data/.hidden \\
 && chown -R 1000:1000 /home/somebody
ENTRYPOINT ["env", "CAME_BY=entrypoint"]
USER 1000
"""


def test_a_home_is_filled_from_the_image_and_the_entrypoint_still_runs(engine: DockerEngine) -> None:
    with docker_host(engine, sandbox_image(FILLED), DockerLimits()) as host:
        launch = host.start()
        code, printed = inside(launch.directory, "cat ~/index.ipynb ~/data/.hidden; echo $CAME_BY; touch ~/data/new")
        assert (code, printed) == (0, "one\ntwo\nentrypoint\n")
        assert inside(launch.directory, "touch /opt/tmpnb-home/x")[0] != 0, "what all share is read-only"
        second = host.start()
        assert inside(second.directory, "ls ~/data/new")[0] != 0
        # An operator prunes what nothing uses at the moment.
        for each in (launch, second):
            host.runtime.end(each.name)
        host.runtime.tidy()
        assert engine.volumes(f"tmpnb.home={host.run_dir}") == []
        third = host.start()
        assert inside(third.directory, "cat ~/index.ipynb") == (0, "one\n")
        host.runtime.end(third.name)
        host.runtime.tidy()


def test_a_home_starts_empty_where_it_is_not_to_be_filled_or_the_files_do_not_fit(engine: DockerEngine) -> None:
    for limits in (DockerLimits(fill_home="never"), DockerLimits(home_bytes=4)):
        with docker_host(engine, sandbox_image(FILLED), limits) as host:
            assert inside(host.start().directory, "ls -A ~") == (0, "")


def test_a_home_that_is_larger_than_a_sandbox_s_is_refused_with_its_name(engine: DockerEngine) -> None:
    limits = DockerLimits(fill_home="always", home_bytes=2)
    with docker_host(engine, sandbox_image(FILLED), limits) as host:
        launch = host.launch()
        with pytest.raises(EngineError, match="TMPNB_NODE_HOME"):
            host.runtime.start(launch)


def test_an_entrypoint_can_be_set_aside(engine: DockerEngine) -> None:
    with docker_host(engine, sandbox_image(FILLED), DockerLimits(entrypoint=False)) as host:
        assert inside(host.start().directory, "echo [$CAME_BY]") == (0, "[]\n")


# What the agent sees.


def test_only_what_bears_the_label_of_this_node_is_seen_or_touched(engine: DockerEngine, image: str) -> None:
    with docker_host(engine, image) as ours, docker_host(engine, image) as theirs:
        launch = theirs.start()
        stranger = engine.create(
            {"Image": image, "Cmd": ["sleep", "1000"], "Labels": {"tmpnb.sandbox": launch.name}}
        ).id
        try:
            ours.runtime.end(launch.name)
            assert ours.runtime.instances() == []
            assert ours.runtime.log_tail(launch.name) == ""
            assert [instance.name for instance in theirs.runtime.instances()] == [launch.name]
            assert engine.state(stranger) is not None
        finally:
            engine.remove(stranger)


def test_no_label_holds_the_key(host: DockerHost) -> None:
    launch = host.start()
    [found] = host.engine.containers([f"tmpnb.node={host.node}"])
    assert launch.key not in str(found["Labels"])
    assert launch.key not in str(found["Names"])


def test_the_last_words_of_a_sandbox_do_not_hold_its_key(host: DockerHost) -> None:
    launch = host.start()
    words = host.runtime.log_tail(launch.name)
    assert words.startswith("starting at /")
    assert launch.key not in words


def test_the_last_words_are_bounded(engine: DockerEngine, image: str) -> None:
    chatty = "python3 -c 'print(\"x\" * 100000)' {socket} {base_path}"
    with docker_host(engine, image, template=chatty) as host:
        launch = host.launch()
        host.runtime.start(launch)
        wait_until(lambda: not host.runtime.instances()[0].alive, 30, "the end")
        assert 1000 < len(host.runtime.log_tail(launch.name)) <= 4096


def test_a_sandbox_that_was_killed_is_seen_as_not_alive(host: DockerHost) -> None:
    launch = host.start()
    api = docker.APIClient(f"unix://{SOCKET}", version="auto")
    try:
        api.kill(host.container(launch))
    finally:
        api.close()
    wait_until(lambda: not host.runtime.instances()[0].alive, 30, "the end")
    assert host.runtime.instances()[0].detail == "killed by hand or out of memory"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "removed"),
        ({"ExitCode": 137, "OOMKilled": True, "Error": ""}, "out of memory"),
        ({"ExitCode": 137, "OOMKilled": False, "Error": ""}, "killed by hand or out of memory"),
        ({"ExitCode": 3, "OOMKilled": False, "Error": ""}, "exit code 3"),
        ({"ExitCode": 0, "OOMKilled": True, "Error": ""}, "exit code 0, after memory had run out"),
        ({"ExitCode": 128, "Error": "no such file: /run/ready/" + "a" * 34}, "no such file: /run/ready/aaaaaaaa[key]"),
    ],
)
def test_how_a_sandbox_ended_is_told_in_words(state: dict[str, object] | None, words: str) -> None:
    assert exit_reason(state) == words


def test_a_command_that_is_not_in_the_image_is_named_in_the_last_words(engine: DockerEngine, image: str) -> None:
    with docker_host(engine, image, template="no-such-program {socket} {base_path}") as host:
        launch = host.launch()
        host.runtime.start(launch)
        wait_until(lambda: not host.runtime.instances()[0].alive, 30, "the end")
        assert host.runtime.instances()[0].detail == "exit code 127"
        assert "no-such-program" in host.runtime.log_tail(launch.name)


def test_a_sandbox_that_could_not_be_started_leaves_no_container(engine: DockerEngine, image: str) -> None:
    with docker_host(engine, image, DockerLimits(extra_hosts=(("somewhere", "no address"),))) as host:
        with pytest.raises(EngineError, match=r"^cannot create a container: invalid IP address"):
            host.runtime.start(host.launch())
        assert host.runtime.instances() == []
    with docker_host(engine, image, DockerLimits(cpus=10_000)) as host:
        with pytest.raises(EngineError, match=r"^cannot create a container: .*CPUs"):
            host.runtime.start(host.launch())
        assert host.runtime.instances() == []


def test_a_directory_that_is_gone_is_an_error_without_the_key_and_is_not_made_again(host: DockerHost) -> None:
    launch = host.launch()
    launch.directory.rmdir()
    with pytest.raises(EngineError, match="source path does not exist") as failed:
        host.runtime.start(launch)
    assert launch.key not in str(failed.value)
    assert not launch.directory.exists()
    assert host.runtime.instances() == []


def test_a_container_does_not_come_back_by_itself(host: DockerHost) -> None:
    launch = host.start()
    api = docker.APIClient(f"unix://{SOCKET}", version="auto")
    try:
        policy = api.inspect_container(host.container(launch))["HostConfig"]["RestartPolicy"]["Name"]
    finally:
        api.close()
    assert policy == "no"


# Images.


def test_a_missing_image_is_a_clear_reason_and_pulled_in_the_background(host: DockerHost) -> None:
    """Nothing listens at port 1, so the pull fails at once."""
    launch = host.launch("127.0.0.1:1/no/such:image")
    with pytest.raises(EngineError, match=r"^image 127.0.0.1:1/no/such:image is being pulled: just begun$"):
        host.runtime.start(launch)

    def reason() -> str:
        with pytest.raises(EngineError) as failed:
            host.runtime.start(launch)
        return str(failed.value)

    wait_until(lambda: "cannot be pulled: cannot pull an image: " in reason(), 30, "the failure of the pull")
    assert "connection refused" in reason()


def test_an_image_that_runs_as_root_gets_an_ordinary_user(engine: DockerEngine) -> None:
    image = sandbox_image("USER root\nENV HOME=/root")
    with docker_host(engine, image) as host:
        assert inside(host.start().directory, "id -u; cd; pwd; touch x")[1] == "1000\n/home/visitor\n"


def test_an_image_with_a_user_by_name_gets_their_home(engine: DockerEngine) -> None:
    image = sandbox_image("USER root\nENV HOME=\nRUN useradd -m -u 1234 -g 100 ada\nUSER ada")
    with docker_host(engine, image) as host:
        assert inside(host.start().directory, "id -u; id -g; touch ~/x && ls ~")[1].split() == ["1234", "100", "x"]


def test_an_image_that_declares_a_volume_is_refused(engine: DockerEngine) -> None:
    refused = pytest.raises(EngineError, match="declares the volume /data")
    with docker_host(engine, sandbox_image("VOLUME /data")) as host, refused:
        host.runtime.start(host.launch())


def test_a_volume_where_the_home_is_goes_to_memory(engine: DockerEngine) -> None:
    with docker_host(engine, sandbox_image("VOLUME /home/somebody")) as host:
        assert "tmpfs" in inside(host.start().directory, "df -T /home/somebody")[1]


# Proving the engine.


def test_a_good_engine_passes_and_nothing_is_left_of_the_try(host: DockerHost) -> None:
    host.runtime.check()
    assert list(host.run_dir.iterdir()) == []
    assert host.engine.containers([f"tmpnb.probe={host.run_dir}"]) == []


def test_a_network_on_which_sandboxes_meet_is_refused(engine: DockerEngine, image: str) -> None:
    name = f"tmpnb-test-{secrets.token_hex(4)}"
    api = docker.APIClient(f"unix://{SOCKET}", version="auto")
    made = api.create_network(name)["Id"]
    try:
        refused = pytest.raises(EngineError, match=f"network {name} lets sandboxes reach each other; make it with")
        with docker_host(engine, image, DockerLimits(network=name)) as host, refused:
            host.runtime.check()
    finally:
        api.remove_network(made)
        api.close()


def test_on_a_network_of_their_own_sandboxes_do_not_reach_each_other(engine: DockerEngine, image: str) -> None:
    name = f"tmpnb-test-{secrets.token_hex(4)}"
    api = docker.APIClient(f"unix://{SOCKET}", version="auto")
    made = api.create_network(name, options={"com.docker.network.bridge.enable_icc": "false"})["Id"]
    try:
        with docker_host(engine, image, DockerLimits(network=name)) as host:
            host.runtime.check()
            first, second = host.start(), host.start()
            inside(first.directory, "cd /tmp && (python3 -m http.server 8080 >log 2>&1 &) && sleep 1")
            _, address = inside(first.directory, "hostname -I")
            look = "import urllib.request as u; print(u.urlopen('http://{}:8080', timeout=5).status)"
            assert inside(first.directory, f'python3 -c "{look.format(address.strip())}"')[1] == "200\n"
            assert inside(second.directory, f'python3 -c "{look.format(address.strip())}"')[0] != 0
    finally:
        api.remove_network(made)
        api.close()


def test_a_network_that_is_not_there_says_how_to_make_it(engine: DockerEngine, image: str) -> None:
    refused = pytest.raises(EngineError, match="network nowhere is not there; make it with: docker network create")
    with docker_host(engine, image, DockerLimits(network="nowhere")) as host, refused:
        host.runtime.check()


def test_without_an_engine_every_call_says_that_it_does_not_answer(host: DockerHost) -> None:
    runtime = replace(host, engine=DockerEngine(host.run_dir / "docker.sock")).restarted()
    calls: list[Callable[[], object]] = [
        runtime.check,
        runtime.instances,
        lambda: runtime.end("a"),
        lambda: runtime.start(host.launch()),
    ]
    for call in calls:
        with pytest.raises(EngineError, match=r"the engine does not answer \(nobody listens at .*docker.sock, or this"):
            call()
