"""What the dashboard's buttons do: the same as the command line's verbs, by the same guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from flask import abort

from redirector.admin_api.requests import NoticeSeconds
from redirector.errors import BadRequestError
from redirector.operations.contents import ContentAddition, ContentControl
from redirector.operations.images import Upkeep
from redirector.operations.node_changes import Control
from redirector.operations.node_rules import Addition, OperatorDecision
from redirector.operations.sessions import SessionControl
from redirector.web.admin.sessions import announcement_of
from redirector.web.dashboard.steps import Steps
from tmpnb_common.json_object import Line
from tmpnb_common.wire import DEFAULT_POOL

DIGITS = 15

Answer = object
"""A view or a mapping, for JSON."""


@dataclass(frozen=True, slots=True)
class ButtonRequest:
    """What the dashboard's page sends with one of its buttons: the fields that the button has, and no others."""

    reason: Line = ""
    force: bool = False
    version: Line = ""
    """Of the card that the operator saw."""
    url: Line = ""
    name: Line = ""
    control_url: Line = ""
    token: Line = field(default="", repr=False)
    node: Line = ""
    nodes: tuple[Line, ...] = ()
    text: Line = ""
    seconds: NoticeSeconds = 0
    image: Line = ""
    pool: Line = DEFAULT_POOL
    tested: bool = False
    source: Line = ""
    open: Line = ""
    whole_pool: Line = ""
    """Not empty: a content for every sandbox of its pool."""
    pattern: Line = ""
    agreed: bool = False
    """That a node which is in the fleet already takes the other one's place."""


@dataclass(frozen=True, slots=True)
class Actions:
    """Each takes what the page sent and who sent it, and gives what the page is told."""

    control: Control
    upkeep: Upkeep
    sessions: SessionControl
    steps: Steps
    contents: ContentControl

    def on_node(self, name: str, verb: str, body: ButtonRequest, by: str) -> Answer:
        """One node's buttons."""
        verbs: Mapping[str, Callable[[str, ButtonRequest, OperatorDecision], Answer]] = {
            "drain": self._drain,
            "resume": self._resume,
            "remove": self._remove,
            "roll": self._roll,
            "selftest": self._selftest,
            "rotate": self._rotate,
        }
        if verb not in verbs:
            abort(404)
        return verbs[verb](name, body, _decision(body, by))

    def add(self, body: ButtonRequest, by: str) -> Answer:
        node, new = self.control.add(_addition(body), _decision(body, by))
        return {"name": node.name, "changed": new}

    def add_content(self, body: ButtonRequest, by: str) -> Answer:
        addition = ContentAddition(
            body.name, body.source, body.pool or DEFAULT_POOL, body.open, bool(body.whole_pool), body.token
        )
        content = self.contents.add(addition, _decision(body, by))
        return {"name": content.name, "webhook_secret": content.webhook_secret}

    def on_content(self, name: str, verb: str, body: ButtonRequest, by: str) -> Answer:
        """One content's buttons."""
        decision = _decision(body, by)
        match verb:
            case "refresh":
                self.contents.refresh(name, decision)
            case "remove":
                self.contents.remove(name, decision)
            case _:
                abort(404)
        return {"name": name}

    def on_pattern(self, verb: str, body: ButtonRequest, by: str) -> Answer:
        """Lets links ask for more, or for less."""
        decision = _decision(body, by)
        match verb:
            case "allow":
                pattern, changed = self.contents.allow(body.pattern, body.pool or DEFAULT_POOL, decision)
                return {"pattern": pattern.pattern, "changed": changed}
            case "deny":
                return {"pattern": self.contents.deny(body.pattern, decision), "changed": True}
        return abort(404)

    def end_session(self, name: str, body: ButtonRequest, by: str) -> Answer:
        node, changed = self.sessions.end(name, body.node, _decision(body, by))
        return {"node": node, "changed": changed}

    def say(self, body: ButtonRequest, by: str) -> Answer:
        text, seconds = announcement_of(body.text, body.seconds)
        return self.sessions.say(text, seconds, list(dict.fromkeys(body.nodes)), _decision(body, by))

    def _drain(self, name: str, _body: ButtonRequest, decision: OperatorDecision) -> Answer:
        return {"changed": self.control.intend(name, "draining", decision)[1]}

    def _resume(self, name: str, _body: ButtonRequest, decision: OperatorDecision) -> Answer:
        return {"changed": self.control.intend(name, "active", decision)[1]}

    def _remove(self, name: str, _body: ButtonRequest, decision: OperatorDecision) -> Answer:
        self.control.remove(name, decision)
        return {"changed": True}

    def _selftest(self, name: str, body: ButtonRequest, _decision: OperatorDecision) -> Answer:
        return self.upkeep.selftest(name, body.pool or DEFAULT_POOL)

    def _roll(self, name: str, body: ButtonRequest, decision: OperatorDecision) -> Answer:
        image = body.image.strip()
        if not image:
            raise BadRequestError("image is missing: what the pool's sandboxes are to run")
        pool = body.pool or DEFAULT_POOL
        return self.steps.roll(name, pool, image, decision, tested=body.tested)

    def _rotate(self, name: str, body: ButtonRequest, decision: OperatorDecision) -> Answer:
        # The row's version changes on the way, by these very steps.
        why = replace(decision, version=None, reason=decision.reason or f"{name} is replaced by {body.url}")
        return self.steps.rotate(name, _addition(body), why, tested=body.tested, agreed=body.agreed)


def _addition(body: ButtonRequest) -> Addition:
    url = body.url.strip()
    if not url:
        raise BadRequestError("url is missing: the node's public address")
    return Addition(url, body.name.strip(), body.control_url.strip(), body.token.strip())


def _decision(body: ButtonRequest, by: str) -> OperatorDecision:
    return OperatorDecision(by, body.reason, _version(body), body.force)


def _version(body: ButtonRequest) -> int | None:
    """Of the card that the operator saw, so that two of them cannot undo each other unknowingly."""
    given = body.version
    return int(given) if given.isascii() and given.isdigit() and len(given) <= DIGITS else None
