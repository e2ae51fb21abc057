"""What the OpenAPI description of our doors says beyond what FastAPI reads from their signatures: bodies and statuses.

It is served nowhere, so that strangers learn nothing from it; `create_app(settings).openapi()` gives it to tools, and
tests hold the doors to it. 408 and 413 come before every door; 500 is a bug, and is not described.
"""

from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel

Responses = dict[int | str, dict[str, Any]]

_MEANINGS: Final = {
    303: "It leads on.",
    400: "The body cannot be read.",
    401: "The caller has not proved who they are.",
    403: "The caller may not do that, or has not proved who they are.",
    404: "There is nothing at this address.",
    408: "The body did not arrive in time.",
    410: "There is no such resource, or it has been deprovisioned.",
    413: "The body is longer than anything that is taken.",
    422: "The answer is no; the message says why.",
    429: "Too often; `Retry-After` says how long that will be so.",
    503: "Not now; `Retry-After` says when to come again.",
}
_BEFORE_EVERY_DOOR: Final = (408, 413)


class Problem(BaseModel):
    """The one body of every error that a machine gets."""

    id: str
    message: str


class Made(BaseModel):
    """What Heroku is told of a resource that is ready."""

    id: str
    log_drain_url: str | None = None
    config: dict[str, str] | None = None
    message: str | None = None


def for_machines(*statuses: int) -> Responses:
    """Errors as JSON."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in (*statuses, *_BEFORE_EVERY_DOOR)}


def for_people(*statuses: int) -> Responses:
    """Errors, and where it goes on, as pages."""
    html = {"text/html": {"schema": {"type": "string"}}}
    return {
        status: {"description": _MEANINGS[status]} | ({} if status == 303 else {"content": html})
        for status in (*statuses, *_BEFORE_EVERY_DOOR)
    }


def as_file(*media_types: str) -> dict[str, Any]:
    """What a route says of a file that it gives, as its keyword arguments."""
    content = {media_type: {"schema": {"type": "string"}} for media_type in media_types}
    return {"response_class": Response, "responses": {200: {"content": content}}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The body that a door reads by itself, for `openapi_extra`."""
    schema = model.model_json_schema()
    return _body("application/json", _inlined(schema, schema.pop("$defs", {})))


def form_body(*names: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """A form of texts, likewise."""
    fields = {name: {"type": "string"} for name in (*names, *required)}
    schema = {"type": "object", "properties": fields, "required": list(required)}
    return _body("application/x-www-form-urlencoded", schema)


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references, which would lead nowhere from inside the description."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(one, definitions) for name, one in schema.items()}
