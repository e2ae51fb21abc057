"""What every request passes: an id, one log line, a bounded body in bounded time, and headers that keep browsers safe.

Plain ASGI: Starlette's BaseHTTPMiddleware would halve the rate of a small route.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.watch import Watch
from app.web.errors import TooLarge, TooSlow, answer
from app.web.noting import DirectRoute

_log = structlog.get_logger(__name__)

LARGEST_BODY: Final = 64 * 1024
# Larger ones are taken there, so nobody's is read before they have proved who they are: the door calls `read_body`.
_READ_BY_THEIR_DOOR: Final = frozenset({"/heroku/logs"})
_SLOWEST_BODY_SECONDS: Final = 2.0
# The log's status of a request whose caller left before it was answered; nobody receives it.
_CLIENT_CLOSED: Final = 499
# ASCII: a header is bytes, and other letters would not come back as they were sent.
_GOOD_ID: Final = re.compile(r"[\w.:,-]{1,200}", re.ASCII)
# No inline code, no foreign host, no framing; forms go home only.
_CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# All that caches may keep unasked: who uses a machine next sees no page, and no refusal, of who used it before.
_FILES: Final = "/static/"
_SAFETY: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class EveryRequest:
    """The outermost layer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        is_https: bool,
        watch: Callable[[], Watch] | None = None,
        direct: Mapping[tuple[str, str], DirectRoute] | None = None,
    ) -> None:
        nobodys = Watch()
        self._app = app
        self._direct = direct if direct is not None else {}
        self._watch = watch if watch is not None else lambda: nobodys
        safety = dict(_SAFETY)
        if is_https:
            safety["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self._safety = [(name.lower().encode(), value.encode()) for name, value in safety.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = (headers.get(b"x-request-id") or headers.get(b"request-id") or b"").decode("latin-1")
        request_id = given if _GOOD_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(message, request_id, is_file=scope["path"].startswith(_FILES))
            await send(message)

        with _own_ids(request_id), self._watch().request(scope["method"], scope["path"]) as seen:
            try:
                if scope["path"] not in _READ_BY_THEIR_DOOR:
                    receive = _replay(await read_body(scope, receive), receive)
                await self._lead_in(scope, receive, send_safely)
            except ClientDisconnect:
                status = _CLIENT_CLOSED
            except Exception as error:
                if not isinstance(error, TooLarge | TooSlow):
                    _log.exception("request failed")
                if status:  # half an answer cannot be taken back: the server closes the connection
                    raise
                response = await answer(Request(scope), error)
                await response(scope, receive, send_safely)
            finally:
                seen.status, seen.route = status, _route(scope)
                seen.resource = structlog.contextvars.get_contextvars().get("resource")
                milliseconds = round((time.perf_counter() - started) * 1000, 1)
                # A line about every batch of log lines would, in the log of an app of ours, be another one's reason.
                told = _log.debug if status == 204 and scope["path"] in _READ_BY_THEIR_DOOR else _log.info
                told("request", method=scope["method"], path=scope["path"], status=status, ms=milliseconds)

    async def _lead_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = self._direct.get((scope["method"], scope["path"]))
        if direct is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = direct
        response = await direct.handle_directly(Request(scope, receive))
        await response(scope, receive, send)

    def _add_headers(self, message: MutableMapping[str, Any], request_id: str, *, is_file: bool) -> None:
        headers = list(message["headers"])
        there = {name.lower() for name, _ in headers}
        headers += (header for header in self._safety if header[0] not in there)
        if not is_file and b"cache-control" not in there:
            headers.append((b"cache-control", b"no-store"))
        message["headers"] = [*headers, (b"request-id", request_id.encode())]


def _route(scope: Scope) -> str:
    """The template of the path that was found, without what was asked for in it; few, whatever strangers try."""
    found = getattr(scope.get("route"), "path", None)
    if found is None:
        return "/static" if scope.get("root_path") == "/static" else "none"
    return str(found).rstrip("/") or "/"


@contextmanager
def _own_ids(request_id: str) -> Iterator[None]:
    """Log lines with the ids of this request alone: a server may run it in the context of the one before."""
    before = structlog.contextvars.get_contextvars()
    if before:
        structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()
        if before:
            structlog.contextvars.bind_contextvars(**before)


async def read_body(scope: Scope, receive: Receive, most: int = LARGEST_BODY) -> bytes:
    """The whole body, read before any work begins.

    Args:
        scope: of the request.
        receive: gives it, piece by piece.
        most: bytes.

    Raises:
        TooLarge: there are more than `most` bytes.
        TooSlow: it is not complete within two seconds.
        ClientDisconnect: the caller left in the middle; half a request is not acted on.
    """
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > most:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SLOWEST_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise TooLarge
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise TooSlow from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once, then what the server says."""
    is_given = False

    async def replay() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
