"""What keeps a foreign web page from playing with a simulator on somebody's laptop.

A browser there can reach 127.0.0.1. The Host check stops a name that was rebound to it; the Origin check stops a form
on another site; the headers stop scripts and frames.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# What browsers show; the rest is for programs.
PAGES = ("/marketplace", "/simulator", "/sso", "/static")
_MOST_BODY_BYTES = 1_000_000
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _TooLarge(Exception):
    pass


class Guard:
    """ASGI middleware: check Host, and where a change comes from; bound bodies; add security headers."""

    def __init__(self, app: ASGIApp, url: str) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {urlsplit(url).hostname or ""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, _bounded(receive), send_with_headers)
        except ClientDisconnect:  # nobody is left to answer
            return
        except _TooLarge:
            if has_started:
                raise
            await _too_large()(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _host_name(host) not in self._hosts:
            return PlainTextResponse("The simulator does not answer to this host name.\n", 421)
        is_change = scope["method"] not in {"GET", "HEAD"}
        if is_change and _is_cross_site(headers, host):
            return PlainTextResponse("The simulator takes changes only from programs and its own pages.\n", 403)
        length = headers.get("content-length", "")
        return _too_large() if length.isdecimal() and int(length) > _MOST_BODY_BYTES else None


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > _MOST_BODY_BYTES:
            raise _TooLarge
        return message

    return receive_bounded


def _too_large() -> JSONResponse:
    message = f"A request's body may have {_MOST_BODY_BYTES} bytes."
    return JSONResponse({"id": "too_large", "message": message}, 413)


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_cross_site(headers: Headers, host: str) -> bool:
    """Believe Sec-Fetch-Site, which every current browser sends, else Origin; a caller with neither is no browser."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != host
