"""Reading an app's log: a session, whose address then streams the lines as server-sent events.

https://devcenter.heroku.com/articles/platform-api-reference#log-session. The stream needs no token: its address is the
secret, as on Heroku.
"""

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.simulator.errors import HerokuError, invalid
from app.simulator.logs.lines import KEPT_LINES, Logs, LogSession
from app.simulator.parts import parts
from app.simulator.shapes import moment

from .call import Call, api

_USUAL_LINES = 100
_LONGEST_NUMBER = 20


async def open_session(call: Call) -> Any:
    app, body = call.app(), await call.body()
    process_type = _text(body, "type")
    session = call.known.logs.open_session(
        app,
        lines=_lines(body.get("lines")),
        is_tail=body.get("tail") is True,
        source=_text(body, "source"),
        dyno=_text(body, "dyno_name") or _text(body, "dyno") or process_type,
    )
    return {
        "created_at": moment(session.created_at),
        "id": session.id,
        "logplex_url": f"{call.url}/log-streams/{session.id}",
        "updated_at": moment(session.created_at),
    }


def _lines(value: Any) -> int:
    if value is None:
        return _USUAL_LINES
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid("The number of lines is a whole number above zero.")
    return min(value, KEPT_LINES)


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"The {name} of a log session is text.")
    return value or None


async def stream(request: Request) -> Response:
    """Serve a session's lines; a tail stays open, and a client that lost it goes on after the last line it had."""
    logs = parts(request).logs
    try:
        session = logs.session(request.path_params["session"])
    except HerokuError as error:
        return JSONResponse(error.body, error.status)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() and len(last) < _LONGEST_NUMBER else None
    return StreamingResponse(
        _events(logs, session, after), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _events(logs: Logs, session: LogSession, after: int | None) -> AsyncIterator[str]:
    async for line in logs.read(session, after=after):
        yield ":\n\n" if line is None else f"id: {line.number}\ndata: {line}\n\n"


ROUTES = [
    api("POST", "/apps/{app}/log-sessions", open_session, status=201, is_for_people=True),
    Route("/log-streams/{session}", stream),
]
