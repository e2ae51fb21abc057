"""Heroku's webhooks about a resource: proved by their signature, stored, and answered; a job does what follows.

https://devcenter.heroku.com/articles/app-webhooks#receiving-webhooks. The signature is standard base64 of HMAC-SHA256
over the body's bytes, with the secret of this resource's subscription. Whoever has none gets the same answer wherever
they knock. Whatever is signed is answered 204, also what cannot be read: a refusal would only hold back, for days, what
Heroku has to tell next.
"""

import base64
import hashlib
import hmac
import secrets
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from app.context import Context
from app.resources import webhooks
from app.resources.webhook_subscription import PATH
from app.web.dependencies import OpenContext
from app.web.description import for_machines
from app.web.errors import BadRequest
from app.web.limits import count_failure
from app.web.partner_api import read_json

router = APIRouter(prefix=PATH)

_SIGNATURE = "Heroku-Webhook-Hmac-SHA256"
_SIGNATURE_LENGTH = 44

_log = structlog.get_logger(__name__)


@router.post("/{uuid}", status_code=204, responses=for_machines(403, 422, 429, 503))
async def receive(uuid: str, request: Request, context: OpenContext) -> None:
    """204 for what Heroku has signed, 403 for everything else."""
    signature = request.headers.get(_SIGNATURE, "").encode()
    known = _uuid(uuid)
    if known is None or len(signature) != _SIGNATURE_LENGTH:
        raise await _not_heroku(request, context)
    structlog.contextvars.bind_contextvars(resource=str(known))
    # Without a subscription the work is the same, with a secret that nobody knows.
    secret = await webhooks.secret_of(context, known) or secrets.token_urlsafe(32)
    body = await request.body()
    right = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
    if not hmac.compare_digest(right, signature):
        raise await _not_heroku(request, context)
    told = _read(body)
    if told is None:
        _log.warning("a webhook that Heroku has signed cannot be read", length=len(body))
        return
    await webhooks.take(context, known, told)


def _read(body: bytes) -> webhooks.Told | None:
    try:
        return webhooks.read(read_json(body))
    except BadRequest:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _not_heroku(request: Request, context: Context) -> HTTPException:
    _log.warning("refused a webhook: it is not signed as the subscription of such a resource would be")
    await count_failure(request, context, "webhooks")
    return HTTPException(403)
