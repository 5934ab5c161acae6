"""What operators may do with visitors' sessions: look at them, end one, say something to all of their pages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from redirector.admin_api.answers import AnnouncedView, NodeReason, SessionsView
from redirector.errors import AmbiguousSessionError, NodeFailedError, UnknownNodeError, UnknownSessionError
from redirector.model.events import Event
from redirector.model.nodes import Failure, Node
from redirector.node_client.client import AgentClient
from redirector.node_client.fan_out import FanOut
from redirector.operations.node_rules import OperatorDecision
from redirector.store.registry import Registry

SECONDS = 4.0
"""For all nodes together. The list of a node with a thousand sandboxes takes a tenth of one."""


class SessionControl:
    """Asks the nodes, which alone know. Safe to use from several threads."""

    def __init__(self, *, registry: Registry, client: AgentClient, fan_out: FanOut, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._client = client
        self._fan_out = fan_out
        self._clock = clock

    def sessions(self, names: Collection[str] = ()) -> SessionsView:
        """The sessions of the named nodes, or of all.

        Raises:
            UnknownNodeError: there is no node of one of the names.
        """
        answers = self._fan_out.ask(self._nodes(names), self._client.session_list, SECONDS)
        sessions = [each for answer in answers.values() if not isinstance(answer, Failure) for each in answer]
        return SessionsView(sessions, _reasons(answers))

    def end(self, name: str, node_name: str, decision: OperatorDecision) -> tuple[str, bool]:
        """End one session.

        Returns:
            Its node, and whether that changed anything: it may have ended by itself meanwhile.

        Raises:
            UnknownSessionError: no node that answers has it.
            AmbiguousSessionError: several have one of that name, and nobody said which is meant.
            NodeFailedError: its node did not do it.
        """
        listed = self.sessions([node_name] if node_name else [])
        nodes = sorted({session.node for session in listed.sessions if session.name == name})
        if not nodes:
            raise UnknownSessionError(name, sorted(each.node for each in listed.unanswered))
        if len(nodes) > 1:
            raise AmbiguousSessionError(name, nodes)
        node = next(iter(self._nodes(nodes)))
        changed = self._client.end_session(node, name)
        if isinstance(changed, Failure):
            raise NodeFailedError(node.name, changed.reason)
        if changed:
            reason = f"{name}: {decision.reason}" if decision.reason else name
            self._note(Event(self._clock(), "session_ended", node.name, decision.by, reason))
        return node.name, changed

    def say(self, text: str, seconds: int, names: Collection[str], decision: OperatorDecision) -> AnnouncedView:
        """Say a line to the pages of all sessions, those that come included, or of the named nodes; empty: say no more.

        Raises:
            UnknownNodeError: there is no node of one of the names; nothing was said then.
        """
        nodes = self._nodes(names)
        answers = self._fan_out.ask(nodes, lambda node: self._client.say(node, text, seconds), SECONDS)
        told = [node.name for node in nodes if not isinstance(answers.get(node.name), Failure)]
        kind = "say" if text else "say_no_more"
        for name in told if names else [""] * bool(told):
            self._note(Event(self._clock(), kind, name, decision.by, text))
        return AnnouncedView(told, _reasons(answers))

    def _nodes(self, names: Collection[str]) -> list[Node]:
        nodes = self._registry.all()
        if unknown := [name for name in names if name not in nodes]:
            raise UnknownNodeError(unknown[0])
        return [node for name, node in nodes.items() if name in names or not names]

    def _note(self, event: Event) -> None:
        with self._registry.changing() as change:
            change.note(event)


def _reasons(answers: Mapping[str, object]) -> list[NodeReason]:
    return [NodeReason(name, answer.reason) for name, answer in answers.items() if isinstance(answer, Failure)]
