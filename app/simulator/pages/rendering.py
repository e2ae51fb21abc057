"""How pages are made: one template each, whose `live` block is also served alone to keep an open page fresh."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from app.simulator.errors import HerokuError, not_found
from app.simulator.forms import read_form
from app.simulator.offer import price_text
from app.simulator.parts import parts
from app.simulator.recording import Endpoint
from app.simulator.records import Exchange

FormHandler = Callable[[Request, Mapping[str, str]], Awaitable[str]]


def template_environment() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        moment=_moment,
        clock=_clock,
        near=_near,
        taken=_taken,
        span=_span,
        status_kind=_status_kind,
        path_of=_path_of,
        price=price_text,
    )
    return templates


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    templates: jinja2.Environment | None = None,
    **context: Any,
) -> Response:
    """Render a page, or with `?live` only its live block and the frame's, answered 304 while they stay the same.

    A page without a live block is always whole. `templates` is another environment, for pages that are not the
    simulator's own.
    """
    known = parts(request)
    values = {
        "path": request.url.path,
        "offer": known.offer,
        "world": known.world,
        "now": known.world.now(),
        "problem_count": sum(any(one.level == "problem" for one in each.findings) for each in known.world.exchanges),
        "pending_faults": sum(fault.count for fault in known.faults.pending),
        "more_sections": known.sections,
        **context,
    }
    page = (templates or known.templates).get_template(template)
    if "live" not in request.query_params or "live" not in page.blocks:
        return HTMLResponse(page.render(values), status, {"Cache-Control": "no-store"})
    body = "".join(page.blocks["live"](page.new_context(values)))
    frame = known.templates.get_template("base.html")
    for name in ("sections", "foot"):
        part = "".join(frame.blocks[name](frame.new_context(values)))
        body += f'<template data-for="{name}">{part}</template>'
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return HTMLResponse(body, status, {"ETag": etag, "Cache-Control": "no-cache"})


def latest_first(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Order by the start: a call that waited for another's end is recorded after it."""
    found = list(exchanges)[::-1]
    found.sort(key=lambda one: one.at, reverse=True)
    return found


def page(endpoint: Endpoint) -> Endpoint:
    """Turn a HerokuError into a page that says it."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HerokuError as error:
            return error_page(request, error)

    return answer


def form(handler: FormHandler) -> Endpoint:
    """Read a posted form, do what it says, and go (303) to the address the handler returns."""

    async def answer(request: Request) -> Response:
        fields = await read_form(request)
        try:
            return RedirectResponse(await handler(request, fields), 303)
        except HerokuError as error:
            if not is_question(error):
                raise
            return ask_again(request, error, fields)

    return page(answer)


def is_question(error: HerokuError) -> bool:
    """Tell whether Heroku would do it if the app's name came as `confirm`."""
    return error.id == "confirmation_required" and "app" in error.more


def ask_again(request: Request, error: HerokuError, fields: Mapping[str, str]) -> Response:
    """Show what would be lost, and a button that sends the same form with the confirmation in it."""
    confirmed = {**fields, "confirm": error.more["app"]["name"]}
    return render(request, "confirm.html", status=error.status, error=error, fields=confirmed, back=_way_back(request))


def error_page(request: Request, error: HerokuError) -> Response:
    return render(request, "error.html", status=error.status, error=error, back=_way_back(request))


def _way_back(request: Request) -> str:
    """Return the page the form was on, when the browser says which."""
    referer = request.headers.get("referer", "")
    own = f"{request.url.scheme}://{request.url.netloc}/"
    return referer if referer.startswith(own) else "/marketplace"


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what no route took: people get a page, programs JSON."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if request.url.path.startswith(("/marketplace", "/sso")):
        return error_page(request, HerokuError(status, "not_found", not_found("page").message))
    return JSONResponse({"id": "not_found", "message": "There is nothing at this address."}, status)


def error_pages() -> dict[Any, Any]:
    return {HTTPException: _on_http_exception}


def _moment(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M:%S} UTC"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def _near(at: datetime, now: datetime) -> str:
    """Say the time of today's moments, the day of others."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%-d %b, %H:%M}"


def _taken(seconds: float) -> str:
    if seconds < 0.001:
        return "< 1 ms"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _span(time: timedelta) -> str:
    """Say a duration in its two largest units."""
    left = int(time.total_seconds())
    said = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return ", ".join(said[:2]) or "no time"


def _status_kind(status: int | None) -> str:
    """Group a status for its colour."""
    if status is None or status >= 500:
        return "bad"
    return "good" if status < 400 else "warn"


def _path_of(url: str) -> str:
    parts_of_url = urlsplit(url)
    return f"{parts_of_url.path}?{parts_of_url.query}" if parts_of_url.query else parts_of_url.path
