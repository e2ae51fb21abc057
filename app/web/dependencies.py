"""Who calls and what they get: the types that doors name in their signatures."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import structlog
from fastapi import Depends, Request

from app.context import Context
from app.errors import Gone, Unauthorized
from app.operations import support
from app.resources.models import Resource
from app.resources.traces import SignIn
from app.web import limits
from app.web.cookies import SESSION_LIFE, session_sign_in


def context_of(request: Request) -> Context:
    """What the process holds open."""
    context: Context = request.app.state.context
    return context


async def _context(request: Request) -> Context:  # FastAPI would run a plain function in a thread
    return context_of(request)


OpenContext = Annotated[Context, Depends(_context)]

# A customer's form has one or two.
_MOST_FIELDS: Final = 50


def _digest(text: str) -> bytes:
    """Digests have one length, so comparing them tells nothing about the texts, not even how long they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


# What callers give is compared with the same few texts every time.
_own_digest: Final = lru_cache(maxsize=16)(_digest)


async def from_heroku(request: Request, context: OpenContext) -> None:
    """Let only Heroku in: Basic, with the manifest's id as the user and the current or the previous password.

    Raises:
        Unauthorized: anything else. Every comparison is made every time, in constant time.
        TooMany: anything else, and too often from this address. Whoever has the password is not counted at all.
    """
    user, password = _basic(request.headers.get("Authorization", ""))
    settings = context.settings
    previous = settings.addon_password_previous or settings.addon_password
    given = _digest(password)
    is_user = hmac.compare_digest(_digest(user), _own_digest(context.manifest.id))
    is_current = hmac.compare_digest(given, _own_digest(settings.addon_password.get_secret_value()))
    is_previous = hmac.compare_digest(given, _own_digest(previous.get_secret_value()))
    if not (is_user & (is_current | is_previous)):
        await limits.count_failure(request, context, "partner API")
        raise Unauthorized("partner API: wrong or missing credentials")


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


FromHeroku = Depends(from_heroku)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A customer, or support, on the pages of one resource, as both were when the request came."""

    resource: Resource
    sign_in: SignIn

    @property
    def name(self) -> str:
        """Who acts, for the history."""
        return self.sign_in.actor

    @property
    def is_support(self) -> bool:
        """Whether it is no customer but an operator who looks at what the customer sees, and may do nothing there."""
        return self.sign_in.support_operator is not None

    @property
    def ends_at(self) -> datetime:
        """When the pages are closed to this browser."""
        return self.sign_in.support_ends_at or self.sign_in.at + SESSION_LIFE


async def signed_in(uuid: str, request: Request, context: OpenContext) -> SignedIn:
    """The customer who came by SSO to this very resource within the last 90 minutes, or the operator who visits it.

    Raises:
        Unauthorized: nobody did, they signed out, or their time is over.
        Gone: the resource has been deprovisioned meanwhile.
    """
    try:
        resource_uuid = UUID(uuid)
    except ValueError:
        raise Unauthorized("dashboard: no such address") from None
    structlog.contextvars.bind_contextvars(resource=str(resource_uuid))
    sign_in_id = session_sign_in(request, request.app.state.session_signer, resource_uuid)
    if sign_in_id is None:
        raise Unauthorized("dashboard: no session")
    async with context.database.transaction() as session:
        sign_in = await session.get(SignIn, sign_in_id)
        resource = await session.get(Resource, resource_uuid)
        is_visit_over = (
            sign_in is not None
            and sign_in.support_operator is not None
            and await support.is_over(context, session, sign_in)
        )
    if sign_in is None or resource is None or sign_in.resource_uuid != resource_uuid:
        raise Unauthorized("dashboard: no such session")
    if is_visit_over or sign_in.signed_out_at is not None or context.clock() >= sign_in.at + SESSION_LIFE:
        raise Unauthorized("dashboard: the session is over")
    if resource.is_gone:
        raise Gone
    return SignedIn(resource=resource, sign_in=sign_in)


Customer = Annotated[SignedIn, Depends(signed_in)]


async def genuine_form(request: Request, context: OpenContext, customer: Customer) -> None:
    """Let a form through only if one of our own pages, made for this very session, has sent it.

    Raises:
        Unauthorized: the browser says that another site sent it, or its token is missing or another session's.
    """
    refuse_other_sites(request, context)
    try:
        fields = parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Unauthorized("form: too many fields") from None
    token = dict(fields).get("form_token", "")
    if request.app.state.form_signer.value(token) != str(customer.sign_in.id):
        raise Unauthorized("form: the token is missing or another session's")


def refuse_other_sites(request: Request, context: Context) -> None:
    """Let no form through of which the browser says that another site sent it.

    Raises:
        Unauthorized: it says so.
    """
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise Unauthorized("form: sent by another site")
    if origin is not None and origin != _origin(context.settings.public_url):
        raise Unauthorized("form: sent from another origin")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


GenuineForm = Depends(genuine_form)
