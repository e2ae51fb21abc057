"""Reading request bodies: urlencoded forms and JSON. How large they may be is the guard's business."""

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from . import plain_json
from .errors import HerokuError


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of an urlencoded form, the last of equal names; another content type has none."""
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise HerokuError(400, "bad_request", "The form cannot be read.") from None


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, or the texts of a JSON object: OAuth's clients send either."""
    if "json" not in request.headers.get("content-type", "").lower():
        return await read_form(request)
    return {name: value for name, value in (await read_json(request)).items() if isinstance(value, str)}


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object of the body, an empty one when there is no body."""
    body = await request.body()
    try:
        content = plain_json.read(body) if body else {}
    except ValueError:
        raise HerokuError(400, "bad_request", "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise HerokuError(400, "bad_request", "The body is not a JSON object.")
    return content
