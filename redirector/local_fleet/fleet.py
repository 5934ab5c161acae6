"""Run a fleet on this machine: clear what an earlier run left, bring it up, keep it up, and end all of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import AdminError, OutcomeUnknownError, RefusedError, UnreachableError
from redirector.local_fleet import demo, front
from redirector.local_fleet.child import Child, begin_log, bound_log
from redirector.local_fleet.directory import FleetDirectory
from redirector.local_fleet.enrolment import Register, Remove, Step, Warmth, steps, warmth
from redirector.local_fleet.errors import NotStartedError, StartFailedError
from redirector.local_fleet.machine import check_engine, check_ports, make_run_root
from redirector.local_fleet.plan import FleetPlan, NodePlan
from redirector.local_fleet.processes import write_records
from redirector.local_fleet.reporter import FleetReady, Reporter
from redirector.local_fleet.stop_request import StopRequest
from redirector.local_fleet.traces import Traces

BEAT_SECONDS = 0.2
ANSWER_SECONDS = 10.0
"""For the redirector to answer: adding a node makes it try the node first."""
START_SECONDS = 90.0
"""For every part to answer for the first time."""
STANDSTILL_SECONDS = 120.0
"""Without one more sandbox being ready."""
DEATHS_WHILE_WARMING = 3
GRACE_SECONDS = 8.0
LOG_CHECK_SECONDS = 60.0
NOT_YET = frozenset({"unreachable", "not_a_node", "bad_token", "unavailable"})
"""What the redirector says of a node that is only just starting, and nginx of a redirector that is."""


class LocalFleet:
    """One run, from nothing to nothing. The lock of its state directory is held around it."""

    def __init__(
        self,
        plan: FleetPlan,
        directory: FleetDirectory,
        *,
        leftovers: Sequence[NodePlan],
        uid: int,
        reporter: Reporter,
        stop: StopRequest,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Plan to run `plan`. `leftovers` are all nodes of which an earlier run may have left something."""
        self._plan = plan
        self._directory = directory
        self._leftovers = leftovers
        self._uid = uid
        self._reporter = reporter
        self._stop = stop
        self._clock = clock
        self._started_at = clock()
        self._demo_url = ""
        self._traces = Traces(directory, plan.run_root, reporter, stop, clock)
        self._children = [Child(child, clock) for child in plan.children]
        self._client = AdminClient(
            plan.url, directory.ensure_admin_token(), by="tmpnb up", answer_seconds=ANSWER_SECONDS
        )

    def clear_leftovers(self) -> None:
        """End what a run that was killed has left: processes, sandboxes, sockets."""
        self._traces.clear_leftovers(self._leftovers)

    def check(self) -> None:
        """Prove that this machine has room for the fleet, once nothing of an earlier run is in the way."""
        check_ports(self._plan.ports)
        make_run_root(self._plan.run_root, self._uid)
        front.write(self._plan.run_root, self._plan.front_config)
        if self._plan.options.runtime == "docker":
            try:
                check_engine(self._plan.nodes[0])
            except NotStartedError:
                shutil.rmtree(self._plan.run_root, ignore_errors=True)
                raise

    def run(self, leaving: Callable[[], None]) -> None:
        """Bring everything up and keep it up, until somebody asks to stop; then end all, whatever happened.

        `leaving` is called once the end has begun.

        Raises:
            StartFailedError: a part died or did not come up in time.
            StopAsked: always, in the end.
        """
        try:
            self._start_all()
            self._bring_up()
            self._warm_up()
            self._announce()
            self._keep_up()
        finally:
            leaving()
            self._end()

    def _start_all(self) -> None:
        self._started_at = self._clock()
        for child in self._children:
            begin_log(child.plan.log)
            self._start(child)

    def _bring_up(self) -> None:
        """Wait until all parts answer and know each other."""
        deadline = self._clock() + START_SECONDS
        self._directory.publish(self._plan.url)
        count = len(self._plan.nodes)
        self._reporter.note(f"starting a redirector and {count} node{'s' * (count > 1)}")
        self._await(self._client.healthy, "the redirector", deadline)
        nodes = {node.name: node for node in self._plan.nodes}
        running = {name: node.url for name, node in nodes.items()}
        try:
            for step in steps(running, self._directory.known_nodes(), self._client.nodes()):
                self._take(step, nodes, deadline)
        except AdminError as problem:
            raise StartFailedError(f"the redirector did not take the nodes: {problem}") from problem
        self._demo_url = demo.add(self._client, self._reporter)

    def _warm_up(self) -> None:
        """Wait until every pool is as full as was asked for."""
        best, since = -1, self._clock()
        while True:
            now = self._warmth()
            self._reporter.warming(now)
            if now.complete:
                return
            if now.ready > best:
                best, since = now.ready, self._clock()
            if self._clock() - since > STANDSTILL_SECONDS:
                raise StartFailedError(
                    f"no sandbox got ready for {STANDSTILL_SECONDS:.0f} s; {now.problem or 'see the logs'}"
                )
            self._tend(give_up_after=DEATHS_WHILE_WARMING)
            self._stop.pause(BEAT_SECONDS)

    def _announce(self) -> None:
        nodes = [(node.name, node.url) for node in self._plan.nodes]
        isolated = self._plan.options.runtime == "docker"
        self._reporter.announce(FleetReady(self._plan.url, nodes, isolated=isolated, demo_url=self._demo_url))

    def _keep_up(self) -> None:
        """Start again whatever ends, and keep logs from growing without end."""
        checked_at = self._clock()
        while True:
            self._tend()
            if self._clock() - checked_at > LOG_CHECK_SECONDS:
                checked_at = self._clock()
                for child in self._children:
                    bound_log(child.plan.log)
            self._stop.pause(BEAT_SECONDS)

    def _start(self, child: Child) -> None:
        child.start()
        write_records(self._directory.children, (each.record for each in self._children if each.record))

    def _await(self, condition: Callable[[], bool], what: str, deadline: float) -> None:
        """Wait for a part to answer while every child has to live."""
        while not condition():
            for child in self._children:
                if how := child.poll_death():
                    raise StartFailedError(_crash_report(child, how))
            if self._clock() > deadline:
                raise StartFailedError(
                    f"{what} did not answer within {START_SECONDS:.0f} s; see {self._directory.logs}"
                )
            self._stop.pause(BEAT_SECONDS)

    def _take(self, step: Step, nodes: dict[str, NodePlan], deadline: float) -> None:
        match step:
            case Remove(name):
                self._client.remove(name, force=True, reason="not started by tmpnb up any more")
            case Register(name, known_as, drain):
                self._await(lambda: self._enrolled(nodes[name], known_as), f"node {name}", deadline)
                if drain is not None:
                    self._client.drain(known_as, force=True, reason=drain)

    def _enrolled(self, node: NodePlan, known_as: str) -> bool:
        try:
            token = self._directory.node_token(node.name).read_text().split()[0]
            self._client.add(node.url, name=known_as, token=token)
        except (FileNotFoundError, IndexError):
            return False  # The agent has not made its token yet.
        except (UnreachableError, OutcomeUnknownError):
            return False
        except RefusedError as refusal:
            if refusal.code not in NOT_YET:
                raise
            return False
        return True

    def _warmth(self) -> Warmth:
        urls = {node.url for node in self._plan.nodes}
        try:
            return warmth(self._client.nodes(), urls, self._plan.options.warm, self._clock() - self._started_at)
        except AdminError as problem:
            # The redirector may be the very part that is being started again.
            return Warmth(0, self._plan.options.warm * len(urls), str(problem))

    def _tend(self, give_up_after: int | None = None) -> None:
        for child in self._children:
            if how := child.poll_death():
                if give_up_after is not None and child.deaths >= give_up_after:
                    raise StartFailedError(_crash_report(child, how))
                self._reporter.warn(f"{child.plan.name} ended ({how}); starting it again")
            if child.is_due:
                self._start(child)

    def _end(self) -> None:
        """End all processes, then what they ran, then every trace. A second request shortens only the waiting."""
        self._reporter.note("stopping")
        for child in self._children:
            child.ask_to_end()
        deadline = self._clock() + GRACE_SECONDS
        while any(child.is_running for child in self._children) and self._clock() < deadline and not self._stop.hurried:
            self._stop.wait(BEAT_SECONDS / 4)
        for child in self._children:
            child.kill()
        self._traces.clear(self._plan.nodes)
        self._reporter.note("stopped; nothing is left running")


def _crash_report(child: Child, how: str) -> str:
    words = "\n".join(f"  {line}" for line in child.last_words())
    return f"{child.plan.name} ended ({how}) before the fleet was up. {child.plan.log} ends with:\n{words}"
