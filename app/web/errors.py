"""The one table from kinds of error to statuses: JSON `{"id", "message"}` for Heroku, a page for people.

Only a `Refused` message ever leaves the program; everything else gets a fixed text, and the reason goes to the log.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.errors import Gone, Refused, Retry, Unauthorized
from app.operators.roles import NotAllowed
from app.web.pages import is_for_operators, is_for_people, render

_log = structlog.get_logger(__name__)


class BadRequest(Exception):
    """The request itself cannot be read. The message says what is wrong with it and repeats nothing of it."""


class TooLarge(Exception):
    """The body is longer than anything we take."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class TooMany(Exception):
    """The caller has failed, or asked, too often. `after` is how long that will be so."""

    def __init__(self, after: timedelta) -> None:
        super().__init__(after)
        self.after = after


# What a caller is told of. Anything else is a bug, and looks the same to everybody.
KINDS: Final = (Unauthorized, Refused, Gone, Retry, BadRequest, TooMany, RequestValidationError, HTTPException)


def problem(status: int, id_: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The one JSON body of every error."""
    return JSONResponse({"id": id_, "message": message}, status, headers)


_FOREIGN_FORM: Final = "Your browser says that another site has sent it. Nothing was done. Please open the page again."

# Whoever has not sent all of a body is not waited for any longer.
_HANG_UP: Final = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class _Outside:
    """How a kind of error looks to the caller."""

    status: int
    id: str
    message: str
    title: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


def _outside(error: Exception) -> _Outside:  # noqa: C901, PLR0911, PLR0912 - one line of the table each
    """The table. A page's words for `Unauthorized` are always the same: they must not tell what was wrong."""
    match error:
        case Unauthorized():
            return _Outside(
                401,
                "unauthorized",
                "The user name or password is wrong.",
                "Please come in through Heroku",
                "This sign-in is not valid, or it has been used or has expired. Please open the dashboard from Heroku.",
                {"WWW-Authenticate": 'Basic realm="partner API", charset="UTF-8"'},
            )
        case NotAllowed(message=message):
            return _Outside(403, "forbidden", message, "Your role does not allow that", message)
        case Refused(message=message):
            return _Outside(422, "refused", message, "That did not work", message)
        case Gone():
            return _Outside(
                410,
                "gone",
                "There is no such resource, or it has been deprovisioned.",
                "This add-on is gone",
                "It has been removed from its app, or never existed.",
            )
        case Retry():
            text = "Something we need is busy. Please try again in a moment."
            return _Outside(503, "try_again", text, "Not just now", text, {"Retry-After": "5"})
        case BadRequest():
            text = "Please go back and try again."
            return _Outside(400, "bad_request", str(error), "That request could not be read", text)
        case TooLarge():
            text = "The request is too large."
            return _Outside(413, "too_large", text, "That was too much", text, _HANG_UP)
        case TooSlow():
            text = "The request took too long to arrive."
            return _Outside(408, "too_slow", text, "That took too long", text, _HANG_UP)
        case TooMany(after=after):
            minutes = math.ceil(after / timedelta(minutes=1))
            text = f"That was too often. Please wait {minutes} minute{'s' if minutes > 1 else ''} and try again."
            seconds = str(math.ceil(after.total_seconds()))
            return _Outside(429, "rate_limit", text, "Too often", text, {"Retry-After": seconds})
        case RequestValidationError():
            # What our own pages link to is never like that: an address that somebody has typed.
            return _outside(HTTPException(404))
        case HTTPException(status_code=status, headers=headers):
            phrase = HTTPStatus(status).phrase
            id_ = phrase.lower().replace(" ", "_")
            title, text = "That did not work", "Please go back and try again."
            if status == 404:
                title, text = "Nothing here", "There is nothing at this address."
            return _Outside(status, id_, f"{phrase}.", title, text, headers or {})
        case _:
            text = "Something went wrong on our side. It has been recorded."
            return _Outside(500, "internal_error", text, "Our mistake", text)


def handle_errors(app: FastAPI) -> None:
    """Give every kind of error its status. What is no such kind is a bug: `EveryRequest` answers it."""
    for kind in KINDS:
        app.add_exception_handler(kind, answer)


async def answer(request: Request, error: Exception) -> Response:
    """What the caller of a request that failed gets."""
    if isinstance(error, Unauthorized | Retry):
        _log.warning("refused a request", kind=type(error).__name__, reason=str(error), cause=repr(error.__cause__))
    outside = _outside(error)
    if not is_for_people(request):
        return problem(outside.status, outside.id, outside.message, dict(outside.headers))
    if isinstance(error, Unauthorized):
        # A browser asked for a password would be no help to a customer: pages say 403.
        if is_for_operators(request):
            return page(request, 403, "That form is not from this panel", _FOREIGN_FORM)
        return page(request, 403, outside.title, outside.text)
    response = page(request, outside.status, outside.title, outside.text)
    response.headers.update(outside.headers)
    return response


def page(request: Request, status: int, title: str, text: str) -> Response:
    """An error as a page for people."""
    return render(request, "message.html", status, title=title, text=text, is_for_operators=is_for_operators(request))
