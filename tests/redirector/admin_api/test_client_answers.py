"""Tests of how the admin client reads answers and failures, without a network."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import responses

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import (
    AdminError,
    NotARedirectorError,
    OutcomeUnknownError,
    RefusedError,
    UnreachableError,
)

URL = "https://try.example.org"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"status": 404, "json": {"status": "unknown_node", "message": "no n1"}}, RefusedError, "no n1"),
        ({"status": 404, "json": {"status": "not_found"}}, NotARedirectorError, "is that a redirector's URL?"),
        ({"status": 200, "body": "<html>"}, OutcomeUnknownError, "not JSON"),
        ({"status": 500, "json": ["odd"]}, OutcomeUnknownError, "status 500"),
        ({"status": 302, "headers": {"Location": "/login"}}, UnreachableError, "redirects elsewhere"),
        ({"body": requests.exceptions.SSLError("self-signed")}, UnreachableError, "REQUESTS_CA_BUNDLE"),
        ({"body": requests.exceptions.ConnectTimeout("slow")}, UnreachableError, "is it running?"),
        ({"body": requests.exceptions.ReadTimeout("slow")}, OutcomeUnknownError, "broke before an answer came"),
        ({"body": requests.exceptions.InvalidURL("odd")}, UnreachableError, "no usable address"),
        ({"body": KeyError("odd")}, OutcomeUnknownError, "no HTTP (KeyError)"),
    ],
)
@responses.activate
def test_what_is_no_answer_becomes_the_error_that_tells_whether_anything_was_asked(
    answer: dict[str, Any], error: type[AdminError], words: str
) -> None:
    call = responses.delete(f"{URL}/api/nodes/n1", **answer)
    with pytest.raises(error) as raised:
        AdminClient(URL, "the-token").remove("n1")
    assert words in str(raised.value)
    assert call.calls[0].request.headers["Authorization"] == "Bearer the-token"
