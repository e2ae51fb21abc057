"""The door for logs: what an add-on writes into the log of an app that has it.

https://devcenter.heroku.com/articles/writing-to-application-logs-as-a-partner. Where that page is silent, Heroku's
published server is the guide: a message without all fields of RFC 5424 is answered 2xx and never seen again.
"""

import zlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import HerokuError, unauthorized
from app.simulator.oauth.credentials import basic_of
from app.simulator.parts import parts
from app.simulator.recording import recorded
from app.simulator.records import AddOn, App, Finding
from app.simulator.verdicts import hint, problem
from app.simulator.world import World

from .frames import MOST_LINE_BYTES, BadFrames, SyslogMessage, in_pieces, read_frames, read_message
from .lines import Logs
from .tokens import writer_with

_CONTENT_TYPES = frozenset({"application/logplex-1", "application/x-logplex-1"})
_MOST_BYTES = 1_000_000


async def write_log(request: Request) -> Response:
    known, findings = parts(request), request.state.findings
    addon, app, token = _writer(known.world, request)
    request.state.addon_id = addon.id
    if not request.headers.get("user-agent"):
        findings.append(hint("The User-Agent header should name the add-on."))
    try:
        messages = read_frames(await _content(request))
    except BadFrames as error:
        raise _bad_request(findings, f"Malformed log messages: {error}") from None
    _check_count(request, len(messages))
    if not messages:
        findings.append(hint("There was no message in the request."))
    for number, message in enumerate(messages, 1):
        if len(message) > MOST_LINE_BYTES:
            text = f"Message {number} has {len(message)} bytes: a line of more than {MOST_LINE_BYTES} is to be split."
            findings.append(problem(text))
        read = read_message(message)
        if read is None or not read.has_data:
            findings.append(problem(_why_unread(number, read)))
        else:
            findings += _remarks(number, read)
            _write(known.logs, app, read, token)
    return Response(status_code=204)


def _writer(world: World, request: Request) -> tuple[AddOn, App, str]:
    """Know the add-on and the app by the token; 401 otherwise."""
    name, token = basic_of(request) or ("", "")
    found = writer_with(world, token) if name == "token" else None
    if found is not None:
        return *found, token
    if name:
        text = "The credentials are not those of a log_input_url, or its add-on or app is gone."
    else:
        text = "No Basic authentication was sent: the name and the password are in the log_input_url."
    request.state.findings.append(problem(text))
    error = unauthorized()
    error.headers["WWW-Authenticate"] = "Basic realm=Logplex"
    raise error


async def _content(request: Request) -> bytes:
    """Return the body as it was before its compression; 400 for what Heroku does not read."""
    findings, headers = request.state.findings, request.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in _CONTENT_TYPES:
        findings.append(problem("The Content-Type must be application/logplex-1."))
        raise HerokuError(415, "unsupported_media_type", "The Content-Type must be application/logplex-1.")
    length = headers.get("content-length", "")
    if not length.isdecimal():
        raise _bad_request(findings, "A Content-Length is needed; a chunked body is not read.")
    body, encoding = await request.body(), headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise _bad_request(findings, "The body's Content-Encoding may be gzip and no other.")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacking.decompress(body, _MOST_BYTES + 1)
    except zlib.error:
        raise _bad_request(findings, "The body is not the gzip its Content-Encoding says.") from None
    if len(content) > _MOST_BYTES:
        raise _too_large(findings)
    if not unpacking.eof:
        raise _bad_request(findings, "The gzip of the body is cut short.")
    return content


def _check_count(request: Request, count: int) -> None:
    said = request.headers.get("logplex-msg-count")
    if said is not None and said.strip() != str(count):
        text = f"Message count mismatch: Logplex-Msg-Count is not {count}, which the body has."
        raise _bad_request(request.state.findings, text)


def _write(logs: Logs, app: App, message: SyslogMessage, token: str) -> None:
    source = "app" if message.app == token else message.app
    for piece in in_pieces(message.text):
        logs.write(app, source, message.process, piece, priority=message.priority, at=message.at)


def _why_unread(number: int, message: SyslogMessage | None) -> str:
    lack = "is not RFC 5424" if message is None else "has no structured data: a second - is needed before the text"
    return f"Message {number} {lack}. Heroku answers 2xx all the same and the line never appears."


def _remarks(number: int, message: SyslogMessage) -> list[Finding]:
    findings = []
    if message.at is None:
        findings.append(hint(f"Message {number} has a time that is not ISO 8601 with an offset."))
    if not message.is_utf8:
        findings.append(hint(f"Message {number} is not UTF-8."))
    return findings


def _bad_request(findings: list[Finding], text: str) -> HerokuError:
    findings.append(problem(text))
    return HerokuError(400, "bad_request", text)


def _too_large(findings: list[Finding]) -> HerokuError:
    text = f"The body of a request has at most {_MOST_BYTES} bytes: send less at once."
    findings.append(problem(text))
    return HerokuError(413, "too_large", text)


def routes() -> list[Route]:
    return [Route("/logs", recorded(lambda _: "logs", write_log), methods=["POST"])]
