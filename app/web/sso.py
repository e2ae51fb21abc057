"""Single sign-on: a customer arrives from Heroku's dashboard with a signed form.

https://devcenter.heroku.com/articles/add-on-single-sign-on

The form carries up to three proofs, strongest first:

    user_scoped_resource_token   sha256(resource_id:salt:timestamp:user_id:email)   covers the person
    resource_token               sha1(resource_id:salt:timestamp)                   covers the resource
    token                        sha1(id:salt:timestamp)                            the same, from before the uuid

The strongest one present decides alone: a wrong strong token is never rescued by a weaker right one. Hashes are over
the raw form texts. Whatever is wrong, the caller learns nothing but "no".
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid4

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.context import Context
from app.errors import Unauthorized
from app.resources import sign_ins
from app.resources.traces import CUSTOMER
from app.settings import SsoStrength
from app.web import limits
from app.web.cookies import Signer, set_session
from app.web.dependencies import context_of
from app.web.description import for_people, form_body
from app.web.noting import DirectRoute, about

_log = structlog.get_logger(__name__)

OLDEST: Final = timedelta(minutes=5)
# Two computers' clocks never quite agree.
EARLIEST: Final = timedelta(seconds=30)
_LONGEST_FIELD: Final = 1000
_FIELDS_TO_PASS_ON: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Heroku's form, as far as it matters here; absent fields are empty."""

    resource_id: str
    id: str
    timestamp: str
    user_id: str
    email: str
    user_scoped_resource_token: str = field(repr=False)
    resource_token: str = field(repr=False)
    token: str = field(repr=False)


FIELDS: Final = tuple(Form.__dataclass_fields__)
router = APIRouter(route_class=DirectRoute)


@router.post(
    "/sso/login",
    status_code=303,
    response_class=RedirectResponse,
    responses=for_people(403, 422, 429, 503),
    openapi_extra=form_body(*FIELDS),
)
async def sign_in(request: Request) -> Response:
    """303 to the resource's dashboard, signed in; the query string goes along."""
    context = context_of(request)
    try:
        resource, sign_in_id = await _come_in(request, context)
    except Unauthorized:
        await limits.count_failure(request, context, "SSO")
        raise
    query = ""
    if request.scope["query_string"]:
        query = urlencode(request.query_params.multi_items()[:_FIELDS_TO_PASS_ON])
    response = RedirectResponse(f"/dashboard/{resource}" + (f"?{query}" if query else ""), 303)
    response.headers["Cache-Control"] = "no-store"
    signer: Signer = request.app.state.session_signer
    set_session(response, signer, resource=resource, sign_in=sign_in_id, is_https=context.settings.is_https)
    return response


async def _come_in(request: Request, context: Context) -> tuple[UUID, UUID]:
    """The resource, and the sign-in that has begun."""
    form = _read_form(await request.body())
    resource, strength = _prove(context, form)
    structlog.contextvars.bind_contextvars(resource=str(resource))
    about(request, resource, {"token": strength.name.lower()})
    _check_strength(context, strength)
    _check_age(context, form.timestamp)
    await limits.count_sign_in(request, str(resource))
    return resource, await _use_form(context, form, resource, strength)


def _read_form(body: bytes) -> Form:
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=50
        )
    except ValueError:
        raise Unauthorized("SSO: the form cannot be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unauthorized("SSO: a field twice")
    if any(len(text) > _LONGEST_FIELD or "\0" in text for name, text in pairs if name != "nav-data"):
        raise Unauthorized("SSO: a field too long, or with a control code")
    return Form(**{name: fields.get(name, "") for name in FIELDS})


def _prove(context: Context, form: Form) -> tuple[UUID, SsoStrength]:
    """Which resource the form is for, and what its strongest token proves; it may still be too weak or too old.

    Raises:
        Unauthorized: no token, or a wrong one.
    """
    parts: tuple[str, ...]
    if form.user_scoped_resource_token:
        strength, token, hashed = SsoStrength.USER, form.user_scoped_resource_token, hashlib.sha256
        parts = (form.resource_id, form.timestamp, form.user_id, form.email)
        if ":" in form.user_id:
            # Colons join what is hashed: "1" and "2:x@y" give the digest of "1:2" and "x@y".
            raise Unauthorized("SSO: a user id with a colon")
    elif form.resource_token:
        strength, token, hashed = SsoStrength.RESOURCE, form.resource_token, hashlib.sha1
        parts = (form.resource_id, form.timestamp)
    else:
        # What we return as `id` at provision is the uuid itself.
        strength, token, hashed = SsoStrength.LEGACY, form.token, hashlib.sha1
        parts = (form.id, form.timestamp)
    settings = context.settings
    salt = settings.addon_sso_salt.get_secret_value()
    previous = (settings.addon_sso_salt_previous or settings.addon_sso_salt).get_secret_value()

    def matches(salt: str) -> bool:
        text = ":".join((parts[0], salt, *parts[1:]))
        return hmac.compare_digest(hashed(text.encode()).hexdigest().encode(), token.encode())

    if not (matches(salt) | matches(previous)):
        raise Unauthorized(f"SSO: wrong {strength.name.lower()} token")
    try:
        return UUID(parts[0]), strength
    except ValueError:
        raise Unauthorized("SSO: not a resource of ours") from None


def _check_strength(context: Context, strength: SsoStrength) -> None:
    if strength < context.settings.sso_strength:
        raise Unauthorized(f"SSO: a {strength.name.lower()} token is too weak here")


def _check_age(context: Context, timestamp: str) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Unauthorized("SSO: the timestamp is not a number of seconds")
    age = timedelta(seconds=context.clock().timestamp() - int(timestamp))
    if not -EARLIEST <= age <= OLDEST:
        raise Unauthorized("SSO: too old, or from the future")


async def _use_form(context: Context, form: Form, uuid: UUID, strength: SsoStrength) -> UUID:
    """Record the sign-in; each form works once.

    Two colleagues who click in the same second share one `resource_token`, so what counts as the same form includes
    who it names. A form that was proved by the user-scoped token also spends its weaker tokens: otherwise whoever got
    hold of it could strip the strong token off, name somebody else, and come in once more.
    """
    is_user_proven = strength is SsoStrength.USER
    says = "Signed in to the dashboard"
    if not is_user_proven:  # the address in the form may be anybody's: the history must not say that it was theirs
        says += "; Heroku has not confirmed who it was"
    used = sign_ins.Form(
        id=uuid4(),
        resource_uuid=uuid,
        form_digest=_digest(str(uuid), form.timestamp, form.user_id, form.email),
        weak_digest=_digest(str(uuid), form.timestamp),
        email=form.email,
        user_id=form.user_id,
        is_user_proven=is_user_proven,
        actor=(form.email if is_user_proven else "") or CUSTOMER,
        says=says,
    )
    refused = await context.forms.ask(used, partial(sign_ins.use, context), key=used.weak_digest)
    if refused is not None:
        raise Unauthorized(f"SSO: {refused}")
    return used.id


def _digest(*parts: str) -> bytes:
    """One digest of several texts; lengths in front keep ("a", "bc") and ("ab", "c") apart."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()
