"""How a page is made: templates, their few helpers, and who gets pages instead of JSON."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.web.browsers import browser_words

FOLDER = Path(__file__).parent

# Where Heroku's regions are, Common Runtime and Private Spaces alike.
# https://devcenter.heroku.com/articles/regions
_PLACES: Final = {
    "us-east-1": "Virginia, United States",
    "us-west-2": "Oregon, United States",
    "ca-central-1": "Montreal, Canada",
    "eu-west-1": "Dublin, Ireland",
    "eu-west-2": "London, United Kingdom",
    "eu-central-1": "Frankfurt, Germany",
    "ap-south-1": "Mumbai, India",
    "ap-southeast-1": "Singapore",
    "ap-southeast-2": "Sydney, Australia",
    "ap-northeast-1": "Tokyo, Japan",
}


def is_for_people(request: Request) -> bool:
    """Whether the caller reads pages: everything but the partner API, the health checks and the metrics."""
    return not request.url.path.startswith(("/heroku/", "/health/", "/metrics"))


def is_for_operators(request: Request) -> bool:
    """Whether it is a page of the panel."""
    return request.url.path == "/admin" or request.url.path.startswith("/admin/")


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
    env.filters["day"] = day
    env.filters["amount"] = amount
    env.filters["span"] = span
    env.filters["place"] = place
    env.filters["browser"] = browser_words
    files = (path for path in (FOLDER / "static").rglob("*") if path.is_file())
    addresses = {path.relative_to(FOLDER / "static").as_posix(): _address(path) for path in files}
    env.globals["static"] = addresses.__getitem__
    return env


def _address(path: Path) -> str:
    """Where a static file is; a new address for new contents, so that no browser mixes a page with an old style."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"/static/{path.relative_to(FOLDER / 'static').as_posix()}?v={digest}"


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. Private by default: no cache keeps it."""
    state = request.app.state
    html = state.templates.get_template(template).render(
        service=state.context.manifest.name,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        **values,
    )
    # Browsers that are told "no-referrer" send `Origin: null` with a page's own forms, which tells nothing about them.
    return HTMLResponse(html, status, {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"})


def moment(at: datetime) -> str:
    """A time for people, in UTC."""
    return at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def day(of: date) -> str:
    """A day for people; of a time, its day in UTC."""
    if isinstance(of, datetime):
        of = of.astimezone(UTC)
    return of.strftime("%d %b").lstrip("0")


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


def span(duration: timedelta) -> str:
    """A duration for people, in the largest unit that leaves no rest: `2 hours`, `90 minutes`."""
    units = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
    name, unit = next(((n, u) for n, u in units.items() if not duration % u), ("second", timedelta(seconds=1)))
    number = duration // unit
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def place(region: str) -> str:
    """Where a region such as `amazon-web-services::eu-west-1` is; an unknown one as Heroku calls it."""
    name = region.rpartition("::")[2]
    return _PLACES.get(name, name)
