"""The partner API: Heroku provisions, changes plans and deprovisions.

https://devcenter.heroku.com/articles/add-on-partner-api-reference

Heroku delivers at least once, so every call may come twice, late or beside its twin. Any Accept and Content-Type header
will do; fields we do not know are none of our business.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.errors import Gone, Retry
from app.resources import lifecycle, plan_change, provisioning
from app.web.dependencies import FromHeroku, OpenContext, context_of, from_heroku
from app.web.description import Made, for_machines, json_body
from app.web.errors import BadRequest
from app.web.log_drain import drain_url
from app.web.noting import DirectRoute, JsonAnswer, NotedRoute, about

Body = TypeVar("Body", bound=BaseModel)

router = APIRouter(prefix="/heroku/resources", dependencies=[FromHeroku], route_class=NotedRoute)
direct_router = APIRouter(prefix="/heroku/resources", route_class=DirectRoute)

_DEEPEST: Final = 20
# Heroku asks for an answer within three seconds.
_LONGEST: Final = timedelta(seconds=2.8)


# What Postgres cannot hold in a text: NUL, and half of a surrogate pair. JSON can say either as an escape only.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_ESCAPE: Final = "\\u"

Slug = Annotated[str, Field(min_length=1, max_length=200)]
Secret = Annotated[str, Field(max_length=4000)]


class _Grant(BaseModel):
    """`expires_at` is not read: it is written in more than one way, and a grant lives five minutes in any case."""

    model_config = ConfigDict(strict=True)

    code: Secret = Field(min_length=1)


class ProvisionBody(BaseModel):
    """What POST brings. Only the uuid, the plan and the region matter; everything else may be missing or null."""

    model_config = ConfigDict(extra="ignore")

    uuid: UUID
    plan: Slug
    region: Slug = "amazon-web-services::us-east-1"
    name: Slug | None = None
    options: dict[str, Any] | None = None
    oauth_grant: _Grant | None = None
    log_input_url: Secret | None = None
    log_drain_token: Secret | None = None

    @field_validator("region", mode="before")
    @classmethod
    def _null_is_default(cls, value: Any) -> Any:
        return "amazon-web-services::us-east-1" if value is None else value


class PlanChangeBody(BaseModel):
    """What PUT brings."""

    model_config = ConfigDict(extra="ignore")

    plan: Slug


@direct_router.post(
    "",
    responses=for_machines(400, 401, 410, 422, 429, 503) | {200: {"model": Made}, 202: {"model": Made}},
    openapi_extra=json_body(ProvisionBody),
)
@direct_router.post("/", include_in_schema=False)
async def provision(request: Request) -> Response:
    """200 with config when it is ready, 202 when it goes on in the background."""
    context = context_of(request)
    await from_heroku(request, context)
    body = await _parse(request, ProvisionBody)
    wanted = provisioning.ProvisionRequest(
        uuid=body.uuid,
        name=body.name or str(body.uuid),
        plan=body.plan,
        region=body.region,
        options=body.options or {},
        grant=body.oauth_grant.code if body.oauth_grant else None,
        log_input_url=body.log_input_url,
        log_drain_token=body.log_drain_token,
    )
    about(
        request,
        body.uuid,
        {"name": wanted.name, "plan": wanted.plan, "region": wanted.region, "options": list(wanted.options)},
        secrets=[wanted.grant, wanted.log_input_url, wanted.log_drain_token, *_texts(wanted.options)],
    )
    async with _in_time(body.uuid):
        return _render(await provisioning.provision(context, wanted), log_drain_url=drain_url(context))


@router.put(
    "/{uuid}",
    responses=for_machines(400, 401, 410, 422, 429, 503) | {200: {"model": Made}},
    openapi_extra=json_body(PlanChangeBody),
)
async def change_plan(uuid: str, request: Request, context: OpenContext) -> Response:
    """200, with config as far as there is any."""
    body = await _parse(request, PlanChangeBody)
    about(request, known := _known(uuid), {"plan": body.plan})
    async with _in_time(known):
        return _render(await plan_change.change_plan(context, known, body.plan), status=200)


@router.delete("/{uuid}", status_code=204, responses=for_machines(401, 410, 422, 429, 503))
async def deprovision(uuid: str, request: Request, context: OpenContext) -> None:
    """204; what was made is removed in the background."""
    about(request, known := _known(uuid), {})
    async with _in_time(known):
        await lifecycle.deprovision(context, known)


@asynccontextmanager
async def _in_time(uuid: UUID) -> AsyncIterator[None]:
    """Work on one resource, which the log names, and answer before Heroku loses patience.

    What is cut off here is cut off as a crash would: the transaction rolls back, or the sweep finishes the work.

    Raises:
        Retry: the database, most likely, is too slow just now.
    """
    structlog.contextvars.bind_contextvars(resource=str(uuid))
    try:
        async with asyncio.timeout(_LONGEST.total_seconds()):
            yield
    except TimeoutError:
        raise Retry("the partner API took too long") from None


def _render(answer: lifecycle.Answer, *, status: int | None = None, log_drain_url: str | None = None) -> Response:
    body: dict[str, Any] = {"id": str(answer.uuid)}
    if log_drain_url is not None:
        body["log_drain_url"] = log_drain_url
    if answer.config is not None:
        body["config"] = answer.config
    if answer.message is not None:
        body["message"] = answer.message
    return JsonAnswer(body, status or (202 if answer.config is None else 200))


def _texts(value: Any) -> Iterator[str]:
    """Every text among a customer's options, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _known(uuid: str) -> UUID:
    """A path that is no uuid names no resource of ours."""
    try:
        return UUID(uuid)
    except ValueError:
        raise Gone from None


async def _parse(request: Request, kind: type[Body]) -> Body:
    value = read_json(await request.body())
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise BadRequest(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None


def read_json(body: bytes) -> Any:
    """The JSON of a request, no stranger than Postgres can store it.

    Raises:
        BadRequest: not JSON, not UTF-8, a name twice, nested too deep, or a number without a value.
    """
    try:
        text = body.decode()
        value = _JSON.decode(text)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not the JSON we can read.") from None
    # Most bodies are done with here: they have too few brackets to be deep, and no escape that could be anything bad.
    if _ESCAPE in text or text.count("{") + text.count("[") >= _DEEPEST:
        _check(value, _DEEPEST)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name twice")
    return names


def _no_number(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("out of range")
    return number


_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)


def _check(value: Any, levels_left: int) -> None:
    if levels_left == 0:
        raise BadRequest("The body is nested too deep.")
    if isinstance(value, str):
        if _UNSTORABLE.search(value) is not None:
            raise BadRequest("Every text must be a text without control codes.")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check(name, levels_left)
            _check(inner, levels_left - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, levels_left - 1)
