"""`/dashboard`: the fleet for operators' eyes, and the same verbs as the command line has.

It asks for the admin token once and answers with a session cookie. Whatever changes something needs, beside the cookie,
a token that only this page knows, and must not come from another site.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from redirector.admin_api.fleet_view import view_of_fleet
from redirector.errors import BadRequestError
from redirector.model.operators import NAME_LIMIT
from redirector.operations.snapshots import SnapshotReader
from redirector.settings.table import RedirectorSettings
from redirector.store.journal import Journal
from redirector.web.admin.auth import Keyholders, too_many
from redirector.web.admin.contents import view_of_contents
from redirector.web.bodies import answer, read_body
from redirector.web.dashboard.actions import Actions, ButtonRequest
from redirector.web.dashboard.cards import cards
from redirector.web.dashboard.history import event_filter, history
from redirector.web.dashboard.session import Session, opened, same_secret, session_of
from redirector.web.failures import failure


class CookieBounds(TypedDict):
    """How far the session's cookie goes."""

    path: str
    secure: bool
    httponly: bool
    samesite: str


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def blueprint(  # noqa: PLR0917 - collaborators
    snapshots: SnapshotReader,
    actions: Actions,
    journal: Journal,
    settings: RedirectorSettings,
    admins: Keyholders,
    clock: Callable[[], float],
) -> Blueprint:
    """The page, what it asks for, and its buttons."""
    seat = _Seat(snapshots, actions, journal, settings, admins, clock)
    routes = Blueprint("dashboard", __name__, url_prefix="/dashboard")
    routes.before_request(seat.refuse_other_sites)
    routes.after_request(_protect)
    routes.get("")(seat.show)
    routes.post("/login")(seat.login)
    routes.post("/logout")(seat.logout)
    routes.get("/fleet.json")(seat.fleet)
    routes.get("/sessions.json")(seat.list_sessions)
    routes.post("/nodes")(seat.add_node)
    routes.post("/nodes/<name>/<verb>")(seat.act_on_node)
    routes.post("/sessions/<name>/end")(seat.end_session)
    routes.post("/say")(seat.say)
    routes.get("/contents.json")(seat.list_contents)
    routes.post("/contents")(seat.add_content)
    routes.post("/contents/<name>/<verb>")(seat.act_on_content)
    routes.post("/patterns/<verb>")(seat.act_on_pattern)
    return routes


@dataclass(frozen=True, slots=True)
class _Seat:
    snapshots: SnapshotReader
    actions: Actions
    journal: Journal
    settings: RedirectorSettings
    admins: Keyholders
    clock: Callable[[], float]

    def refuse_other_sites(self) -> Response | None:
        if not self.admins.tokens:
            return _page("login.html", 503, problem="The dashboard is closed: the redirector has no admin token.")
        if request.method != "GET" and _from_elsewhere():
            return failure(403, "forbidden", "This has to come from the dashboard itself.")
        return None

    def show(self) -> Response:
        session = self._session()
        if session is None:
            return _page("login.html", 200, problem="")
        return _page(
            "dashboard.html",
            200,
            csrf=session.csrf,
            operator=self.admins.proven_name(session.signer) or session.operator,
            may_change=self.admins.may_change(session.signer),
        )

    def login(self) -> AnyResponse:
        given, name = request.form.get("token", "").strip(), _plain(request.form.get("operator", ""))
        seconds = self.admins.must_wait()
        if seconds:
            refusal = _page("login.html", 429, problem=too_many(seconds), operator=name)
            refusal.headers["Retry-After"] = str(seconds)
            return refusal
        signer = self.admins.signer(given)
        if not signer:
            return _page("login.html", 403, problem="This token does not open the dashboard.", operator=name)
        try:
            name = self.admins.operator(name, signer)
        except BadRequestError as problem:
            return _page("login.html", 400, problem=f"{problem}.", operator="")
        answer = redirect(url_for("dashboard.show"), 303)
        cookie = opened(signer, name, self.clock(), secrets.token_urlsafe(16))
        answer.set_cookie(_cookie_name(), cookie, **_cookie_bounds())
        return answer

    def logout(self) -> AnyResponse:
        answer = redirect(url_for("dashboard.show"), 303)
        answer.delete_cookie(_cookie_name(), **_cookie_bounds())
        return answer

    def fleet(self) -> Response:
        if self._session() is None:
            return _logged_out()
        snapshot = self.snapshots.read()
        return answer(
            {
                "at": snapshot.at,
                "fleet": view_of_fleet(snapshot, self.settings, request.url_root),
                "nodes": cards(snapshot),
                **history(self.journal, snapshot, *event_filter(request.args)),
            }
        )

    def list_sessions(self) -> Response:
        if self._session() is None:
            return _logged_out()
        return answer(self.actions.sessions.sessions(request.args.getlist("node")))

    def act_on_node(self, name: str, verb: str) -> Response:
        return self._change(lambda body, by: self.actions.on_node(name, verb, body, by))

    def add_node(self) -> Response:
        return self._change(self.actions.add)

    def end_session(self, name: str) -> Response:
        return self._change(lambda body, by: self.actions.end_session(name, body, by))

    def say(self) -> Response:
        return self._change(self.actions.say)

    def list_contents(self) -> Response:
        if self._session() is None:
            return _logged_out()
        return answer(view_of_contents(self.actions.contents, self.settings.entry_url or request.url_root))

    def add_content(self) -> Response:
        return self._change(self.actions.add_content)

    def act_on_content(self, name: str, verb: str) -> Response:
        return self._change(lambda body, by: self.actions.on_content(name, verb, body, by))

    def act_on_pattern(self, verb: str) -> Response:
        return self._change(lambda body, by: self.actions.on_pattern(verb, body, by))

    def _change(self, act: Callable[[ButtonRequest, str], object]) -> Response:
        """Do what changes something, if whoever asks may."""
        session = self._session()
        if session is None:
            return _logged_out()
        if not same_secret(request.headers.get("X-CSRF-Token", ""), session.csrf):
            return failure(403, "forbidden", "This page is out of date; reload it.")
        if not self.admins.may_change(session.signer):
            return failure(403, "read_only", "You have logged in with a token that only reads.")
        return answer(
            act(read_body(ButtonRequest), self.admins.operator(session.operator or "dashboard", session.signer))
        )

    def _session(self) -> Session | None:
        return session_of(request.cookies.get(_cookie_name(), ""), self.admins.tokens, self.clock())


def _protect(response: Response) -> Response:
    # Not none at all: a form would then be sent as if from nowhere.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _from_elsewhere() -> bool:
    """Whether another site's page sent this. Browsers say so; a program that is no browser carries no cookie."""
    site = request.headers.get("Sec-Fetch-Site", "")
    if site:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc != request.host


def _cookie_name() -> str:
    """Behind TLS bound to this very host, which no neighbour under the same domain can set."""
    return "__Host-tmpnb-operator" if request.is_secure else "tmpnb-operator"


def _cookie_bounds() -> CookieBounds:
    path = "/" if request.is_secure else f"{request.script_root}/dashboard"
    return {"path": path, "secure": request.is_secure, "httponly": True, "samesite": "Strict"}


def _plain(name: str) -> str:
    return "".join(char for char in name.strip() if char.isprintable())[:NAME_LIMIT]


def _logged_out() -> Response:
    return failure(401, "unauthorized", "Log in first.")


def _page(template: str, status: int, **values: Any) -> Response:
    return Response(render_template(template, **values), status)
