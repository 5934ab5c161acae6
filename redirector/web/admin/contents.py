"""The admin API's contents: list, add, show, refresh, remove, and what links may ask for beside them."""

from __future__ import annotations

from flask import Blueprint, Response, request

from redirector.admin_api.content_views import (
    AddedContentView,
    ContentNameView,
    ContentsView,
    ContentView,
    PatternChangeView,
    PatternView,
    WorkerView,
)
from redirector.admin_api.requests import AddContentRequest, DecisionRequest, PatternRequest
from redirector.operations.contents import ContentAddition, ContentControl, ContentState
from redirector.settings.table import RedirectorSettings
from redirector.web.admin.auth import Keyholders
from redirector.web.admin.nodes import decision_of
from redirector.web.bodies import answer, read_body
from redirector.web.failures import failure
from tmpnb_common.wire import DEFAULT_POOL

SIGNATURE, SECRET = "X-Hub-Signature-256", "X-Gitlab-Token"
"""How GitHub and GitLab prove that a call of a webhook is theirs."""


def blueprint(control: ContentControl, settings: RedirectorSettings, admins: Keyholders) -> Blueprint:
    """The calls, each of which needs the admin token."""
    admin = Blueprint("admin_contents", __name__, url_prefix="/api")
    admin.before_request(admins.check)

    @admin.get("/content")
    def list_contents() -> Response:
        return answer(view_of_contents(control, settings.entry_url or request.url_root))

    @admin.post("/content")
    def add_content() -> Response:
        body = read_body(AddContentRequest)
        addition = ContentAddition(
            body.name, body.source, body.pool or DEFAULT_POOL, body.open, body.whole_pool, body.token
        )
        content = control.add(addition, decision_of(body, admins))
        return answer(AddedContentView(_view(ContentState(content, {})), content.webhook_secret), 201)

    @admin.get("/content/<name>")
    def show_content(name: str) -> Response:
        return answer(_view(control.one(name)))

    @admin.delete("/content/<name>")
    def remove_content(name: str) -> Response:
        control.remove(name, decision_of(read_body(DecisionRequest), admins))
        return answer(ContentNameView(name))

    @admin.post("/content-patterns")
    def allow() -> Response:
        body = read_body(PatternRequest)
        pattern, changed = control.allow(body.pattern, body.pool or DEFAULT_POOL, decision_of(body, admins))
        return answer(PatternChangeView(changed, pattern.pattern))

    @admin.delete("/content-patterns")
    def deny() -> Response:
        body = read_body(PatternRequest)
        return answer(PatternChangeView(changed=True, pattern=control.deny(body.pattern, decision_of(body, admins))))

    def _view(state: ContentState) -> ContentView:
        return ContentView.of(state.content, state.nodes, settings.entry_url or request.url_root)

    return admin


def view_of_contents(control: ContentControl, entry_url: str) -> ContentsView:
    """Every content, what links may ask for beside them, and the workers."""
    return ContentsView(
        [ContentView.of(state.content, state.nodes, entry_url) for state in control.all()],
        [PatternView.of(each) for each in control.patterns()],
        [WorkerView.of(each) for each in control.workers()],
    )


def webhook(control: ContentControl, admins: Keyholders) -> Blueprint:
    """`POST /api/content/<name>/refresh`, for operators and for the content's forge."""
    routes = Blueprint("content_webhook", __name__, url_prefix="/api")

    @routes.post("/content/<name>/refresh")
    def refresh(name: str) -> Response:
        signature, secret = request.headers.get(SIGNATURE, ""), request.headers.get(SECRET, "")
        if signature or secret:
            if seconds := admins.must_wait():
                response = failure(429, "limited", "Too many wrong tokens came from your address; wait a while.")
                response.headers["Retry-After"] = str(seconds)
                return response
            if not control.is_from_forge(name, request.get_data(cache=False), signature, secret):
                admins.count_wrong()
                return failure(403, "forbidden", "This is not the secret of a content of that name.")
            control.refresh(name)
            return answer(ContentNameView(name), 202)
        if refused := admins.check():
            return refused
        control.refresh(name, decision_of(read_body(DecisionRequest), admins))
        return answer(ContentNameView(name), 202)

    return routes
