"""How a page is made: templates, their few helpers, and who gets pages instead of JSON."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

FOLDER = Path(__file__).parent


def is_for_people(request: Request) -> bool:
    """Whether the caller reads pages: everything but the partner API and the health checks."""
    return not request.url.path.startswith(("/heroku/", "/health/"))


def environment() -> Environment:
    """The templates, with everything escaped and nothing undefined let pass."""
    env = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["moment"] = moment
    env.filters["amount"] = amount
    return env


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. Private by default: no cache keeps it."""
    state = request.app.state
    html = state.templates.get_template(template).render(
        service=state.context.manifest.name,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        **values,
    )
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def moment(at: datetime) -> str:
    """A time for people, in UTC."""
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def amount(value: int, unit: str) -> str:
    """A number with its unit: `12.3 MB` for bytes (of 1024), `7` for a count."""
    if unit != "bytes":
        return f"{value:,}"
    size = float(value)
    for name in ("bytes", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:,.0f} {name}" if name == "bytes" else f"{size:,.1f} {name}"
        size /= 1024
    return f"{size:,.1f} TB"
