"""Signed values for browsers, on itsdangerous: one salt per purpose, keys newest first so that they can be rotated."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from fastapi import Request, Response
from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

# Heroku's advice for an add-on's dashboard. https://devcenter.heroku.com/articles/add-on-single-sign-on
SESSION_LIFE: Final = timedelta(minutes=90)
# Between an operator's password and the code; and on the way to an OpenID provider and back.
SECOND_STEP_LIFE: Final = timedelta(minutes=5)
OPEN_ID_LIFE: Final = timedelta(minutes=10)

Purpose = Literal["customer session", "customer form", "operator form", "operator second step", "operator openid"]


class Signer:
    """Signs values for one purpose; a value signed for another purpose does not pass."""

    def __init__(self, keys: Sequence[str], purpose: Purpose, *, life: timedelta = SESSION_LIFE) -> None:
        self._life = life
        # itsdangerous signs with the last of its keys and accepts all of them.
        self._signer = TimestampSigner(list(reversed(keys)), salt=purpose)

    def sign(self, value: str) -> str:
        """A text safe in cookies and forms."""
        return self._signer.sign(base64_encode(value)).decode()

    def value(self, signed: str) -> str | None:
        """The signed value, or None if it is forged, for another purpose, or older than it may get."""
        try:
            return base64_decode(self._signer.unsign(signed, max_age=int(self._life.total_seconds()))).decode()
        except (BadData, UnicodeError):
            return None


def _name(resource: UUID) -> str:
    return f"customer-{resource.hex[:12]}"


def set_session(response: Response, signer: Signer, *, resource: UUID, sign_in: UUID, is_https: bool) -> None:
    """Let the browser carry the sign-in, for this resource's pages only: two tabs with two resources do not mix."""
    response.set_cookie(
        _name(resource),
        signer.sign(f"{resource}:{sign_in}"),
        max_age=int(SESSION_LIFE.total_seconds()),
        path=f"/dashboard/{resource}",
        secure=is_https,
        httponly=True,
        samesite="lax",
    )


def session_sign_in(request: Request, signer: Signer, resource: UUID) -> UUID | None:
    """The sign-in that the browser carries for this resource, if its signature and age are good."""
    value = signer.value(request.cookies.get(_name(resource), ""))
    if value is None:
        return None
    signed_resource, _, sign_in = value.partition(":")
    return UUID(sign_in) if signed_resource == str(resource) else None


def drop_session(response: Response, *, resource: UUID, is_https: bool) -> None:
    """Make the browser forget it."""
    response.delete_cookie(
        _name(resource), path=f"/dashboard/{resource}", secure=is_https, httponly=True, samesite="lax"
    )
