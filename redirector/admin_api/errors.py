"""What can go wrong between operators' tools and a redirector's admin API."""

from __future__ import annotations


class AdminError(Exception):
    """Base of what can go wrong; the text is one sentence for an operator."""


class UnreachableError(AdminError):
    """The redirector was not asked, or only asked to read: nothing has changed."""


class OutcomeUnknownError(AdminError):
    """The request was sent and no answer came: it may have been carried out."""


class NotARedirectorError(AdminError):
    """Something answers at the URL, but not as a redirector does."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RefusedError(AdminError):
    """The redirector said no, with the error shape of docs/http-api.md."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
