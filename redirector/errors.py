"""Errors of the redirector. They carry data; the rims (web, cli) turn them into HTTP statuses and exit codes, once."""

from __future__ import annotations

from typing import Any, Literal

ProbeCode = Literal["unreachable", "not_a_node", "bad_token"]


class FleetError(Exception):
    """Base of everything the redirector raises on purpose. The text is for an operator's eyes and holds no token."""

    code: str = "error"
    """The word that programs branch on: `status` in every JSON error."""

    def fields(self) -> dict[str, Any]:
        """What a JSON error says beside its code and message."""
        return {}


class FleetConfigError(FleetError):
    """Settings that cannot be used, all of them at once."""

    code = "bad_settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DatabaseAwayError(FleetError):
    """The database did not answer or refused. Visitors do not need it; whatever changes the fleet does."""

    code = "database_away"


class DatabaseRefusedError(DatabaseAwayError):
    """The database answered with a no that only an operator can change: credentials, rights, a name, a path."""


class SchemaTooNewError(DatabaseRefusedError):
    """The database was written by a newer version of this program."""

    code = "schema_too_new"

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database has schema {revision!r}, which this version does not know: "
            "it was written by a newer tmpnb-fleet; run that version, or restore the backup from before the upgrade"
        )
        self.revision = revision


class BadRequestError(FleetError):
    """What was asked makes no sense."""

    code = "bad_request"


class UnknownNodeError(FleetError):
    """There is no node of that name."""

    code = "unknown_node"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no node {name!r:.80}")
        self.name = name


class UnknownSessionError(FleetError):
    """No node that answers has a session of that name: it has ended, or never was."""

    code = "unknown_session"

    def __init__(self, name: str, unanswered: list[str]) -> None:
        silent = f"; but {', '.join(unanswered)} did not answer" if unanswered else ": it has ended, or never was"
        super().__init__(f"no node has a session {name!r:.80}{silent}")
        self.unanswered = unanswered

    def fields(self) -> dict[str, Any]:
        """Which nodes may have it all the same."""
        return {"unanswered": self.unanswered}


class AmbiguousSessionError(FleetError):
    """Several nodes have a session of that name."""

    code = "ambiguous_session"

    def __init__(self, name: str, nodes: list[str]) -> None:
        super().__init__(f"{name!r:.80} is a session on {' and '.join(nodes)}: say on which node")
        self.nodes = nodes

    def fields(self) -> dict[str, Any]:
        """On which."""
        return {"nodes": self.nodes}


class DuplicateUrlError(FleetError):
    """The node is in the fleet already, under another name."""

    code = "duplicate_url"

    def __init__(self, url: str, name: str) -> None:
        super().__init__(f"{url} is in the fleet already, as {name!r}")
        self.name = name

    def fields(self) -> dict[str, Any]:
        """Under which name it is there."""
        return {"name": self.name}


class CopiedNodeError(FleetError):
    """Two nodes that run have one identity, as after a host was copied with its state."""

    code = "copied_node"

    def __init__(self, name: str, url: str) -> None:
        super().__init__(
            f"{name} runs at {url} as well; of two hosts that were copied, one needs a fresh state directory"
        )
        self.name = name

    def fields(self) -> dict[str, Any]:
        """Whose identity it is."""
        return {"name": self.name}


class DuplicateNameError(FleetError):
    """Another node has that name."""

    code = "duplicate_name"

    def __init__(self, name: str, url: str) -> None:
        super().__init__(f"the name {name!r} belongs to {url}")
        self.url = url

    def fields(self) -> dict[str, Any]:
        """Whose name it is."""
        return {"url": self.url}


class NotThatNodeError(FleetError):
    """Who joined or leaves under a node's URL does not have that node's token."""

    code = "forbidden"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is in the fleet with another token; if its host was set up anew, remove the node and let it join"
        )


class AlreadyMemberError(FleetError):
    """The node that is to replace another one is in the fleet already, and does its own work there."""

    code = "already_member"

    def __init__(self, name: str, old_name: str) -> None:
        super().__init__(f"{name} is in the fleet already, and was not added to replace {old_name}")
        self.name = name

    def fields(self) -> dict[str, Any]:
        """Which node it is."""
        return {"name": self.name}


class ProbeError(FleetError):
    """A node that was to be added did not prove to be one."""

    def __init__(self, code: ProbeCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class HasSessionsError(FleetError):
    """Removing the node would leave people's sessions behind."""

    code = "has_sessions"

    def __init__(self, name: str, claimed: int, age_seconds: float | None = None) -> None:
        """`age_seconds` is how old the number is where the node did not answer just now."""
        sessions = "one session" if claimed == 1 else f"{claimed} sessions"
        when = "has" if age_seconds is None else f"does not answer, and {age_seconds:.0f} s ago had"
        super().__init__(f"{name} {when} {sessions}; drain it and wait, or force the removal")
        self.claimed = claimed

    def fields(self) -> dict[str, Any]:
        """How many."""
        return {"claimed": self.claimed}


class LastNodeError(FleetError):
    """No other node could take visitors."""

    code = "last_node"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is the last node that takes visitors")


class TooLittleFreeError(FleetError):
    """Visitors would find too little room without the node."""

    code = "too_little_free"

    def __init__(self, name: str, percent: float, least: int, age_seconds: float) -> None:
        counted = "as the nodes say now" if age_seconds < 1 else f"by numbers up to {age_seconds:.0f} s old"
        super().__init__(
            f"without {name} only {percent:.0f} % of the fleet would be free ({counted}), less than the {least} % "
            "of TMPNB_MIN_FREE_PERCENT"
        )
        self.percent = percent
        self.least = least
        self.age_seconds = age_seconds

    def fields(self) -> dict[str, Any]:
        """How much would be left, how much has to be, and how old the oldest number is that was counted."""
        return {"percent": self.percent, "least": self.least, "stats_age_seconds": self.age_seconds}


class UnknownPoolError(FleetError):
    """The node has no pool of that name."""

    code = "unknown_pool"

    def __init__(self, node: str, pool: str) -> None:
        super().__init__(f"{node} has no pool {pool!r:.80}")


class NodeFailedError(FleetError):
    """The node did not do what it was told."""

    code = "node_failed"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class ChangedError(FleetError):
    """Somebody else was faster: the row has another version than the one that was shown."""

    code = "changed"

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{name} was changed meanwhile and has version {version} now; look again")
        self.version = version

    def fields(self) -> dict[str, Any]:
        """The version it has now."""
        return {"version": self.version}
