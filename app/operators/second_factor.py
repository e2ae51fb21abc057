"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost."""

import base64
import hashlib
import hmac
import secrets
from typing import Final
from uuid import UUID

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operators.accounts import locked, note
from app.operators.models import Operator
from app.operators.roles import Actor, Role

RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10
# A code is taken from one step (30 seconds) before to one after: clocks differ.
_WINDOW: Final = 1


def purpose(operator_id: UUID) -> str:
    """What an operator's secret is sealed for."""
    return f"operators.totp_secret:{operator_id}"


async def prepare(context: Context, actor: Actor) -> None:
    """Make up a secret for one's own authenticator app; it is in force once a code has proved that the app has it.

    Raises:
        Refused: there is a second factor already.
    """
    async with context.database.transaction() as session:
        operator = await _own(session, actor)
        if operator.totp_confirmed_at is not None:
            raise Refused("Your second factor is on already. Turn it off first, to set up another one.")
        operator.totp_secret_sealed = context.keys.seal(pyotp.random_base32(), purpose(operator.id))


def waiting(context: Context, operator: Operator) -> pyotp.TOTP | None:
    """What the authenticator app has to be told, as long as no code has proved that it was."""
    if operator.totp_secret_sealed is None or operator.totp_confirmed_at is not None:
        return None
    return _totp(context, operator)


async def confirm(context: Context, actor: Actor, code: str) -> list[str]:
    """Put the prepared secret in force, proved by a code; the recovery codes, which nobody can read again.

    Raises:
        Refused: the code is wrong, or there is nothing to confirm.
    """
    async with context.database.transaction() as session:
        operator = await _own(session, actor)
        if waiting(context, operator) is None:
            raise Refused("There is nothing to confirm. Begin once more.")
        operator.totp_last_step = None
        if not _spend_code(context, operator, _digits(code)):
            raise Refused("That code is wrong. Type the one that the app shows now; its clock must be right.")
        operator.totp_confirmed_at = context.clock()
        codes = _new_codes(operator)
        note(context, session, actor, "second_factor_on", f"Second factor of {operator.email} turned on")
    return codes


async def renew_codes(context: Context, actor: Actor) -> list[str]:
    """Ten new recovery codes; the ones before are worth nothing any more.

    Raises:
        Refused: there is no second factor.
    """
    async with context.database.transaction() as session:
        operator = await _own(session, actor)
        if operator.totp_confirmed_at is None:
            raise Refused("Turn the second factor on first.")
        codes = _new_codes(operator)
        note(context, session, actor, "recovery_codes_renewed", f"Recovery codes of {operator.email} made anew")
    return codes


async def turn_off(context: Context, actor: Actor, operator_id: UUID, *, reason: str | None = None) -> None:
    """Let a password alone do again: one's own, after a proof, or another's whose app and codes are lost.

    Raises:
        Refused: it is another's, and the actor is no owner.
    """
    if actor.operator_id != operator_id:
        actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await locked(session, operator_id)
        if operator.totp_secret_sealed is None:
            return
        was_on = operator.totp_confirmed_at is not None
        operator.totp_secret_sealed = operator.totp_confirmed_at = operator.totp_last_step = None
        operator.recovery_digests = []
        if was_on:
            line = f"Second factor of {operator.email} turned off"
            note(context, session, actor, "second_factor_off", line, reason)


async def spend(context: Context, operator_id: UUID, code: str) -> bool:
    """Whether it is a code of this minute or a recovery code. Each works once, also when it is sent twice at once."""
    async with context.database.transaction() as session:
        operator = await locked(session, operator_id)
        if operator.totp_confirmed_at is None:
            return False
        if _spend_code(context, operator, _digits(code)):
            return True
        digest = _recovery_digest(code)
        left = [known for known in operator.recovery_digests if not hmac.compare_digest(known, digest)]
        is_known = len(left) < len(operator.recovery_digests)
        if is_known:
            operator.recovery_digests = left
            actor = Actor(name=operator.email, role=operator.role, operator_id=operator.id)
            line = f"Recovery code of {operator.email} used; {len(left)} left"
            note(context, session, actor, "recovery_code_used", line)
    return is_known


def _spend_code(context: Context, operator: Operator, code: str) -> bool:
    try:
        step = _totp(context, operator).verify_and_get_timecode(code, for_time=context.clock(), valid_window=_WINDOW)
    except OTPVerificationError:
        return False
    if operator.totp_last_step is not None and step <= operator.totp_last_step:
        return False
    operator.totp_last_step = step
    return True


def _totp(context: Context, operator: Operator) -> pyotp.TOTP:
    if operator.totp_secret_sealed is None:
        raise Refused("There is no second factor.")
    secret = context.keys.open(operator.totp_secret_sealed, purpose(operator.id))
    return pyotp.TOTP(secret, name=operator.email, issuer=context.manifest.name)


def _new_codes(operator: Operator) -> list[str]:
    codes = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    operator.recovery_digests = [_recovery_digest(code) for code in codes]
    return ["-".join(code[i : i + 4] for i in range(0, len(code), 4)) for code in codes]


def _recovery_digest(code: str) -> str:
    """Of the letters alone: people type capitals, spaces and no hyphens. 80 random bits need no slow digest."""
    letters = "".join(c for c in code.lower() if c.isascii() and c.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest()


def _digits(code: str) -> str:
    return "".join(c for c in code if c.isascii() and c.isdigit()) if len(code) <= 20 else ""


async def _own(session: AsyncSession, actor: Actor) -> Operator:
    if actor.operator_id is None:
        raise Refused("Only an operator has a second factor.")
    return await locked(session, actor.operator_id)
