"""The proofs by which an operator signs in with us: a password and, where there is a second factor, a code."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from app.context import Context
from app.errors import Refused
from app.operators import accounts, attempts, passwords, second_factor
from app.operators.attempts import Browser
from app.operators.models import Operator
from app.operators.sessions import CHANGED

_log = structlog.get_logger(__name__)

# The same words whatever was wrong.
WRONG: Final = "The e-mail address or the password is wrong."
WRONG_CODE: Final = "The code is wrong, or it has been used."
TEMPORARY_LIFE: Final = timedelta(days=3)


async def prove_password(context: Context, email: str, password: str, browser: Browser) -> Operator:
    """The operator whose password this is. Nothing begins yet: a second proof may be needed.

    Raises:
        Refused: it is wrong, or there were too many wrong ones lately, or it was a one-time password of long ago.
    """
    email = email.strip().lower()[:254]
    if not email.isprintable():
        raise Refused(WRONG)
    await attempts.count(context, email, browser)
    async with context.database.transaction() as session:
        operator = await accounts.find(session, email)
    is_right = await passwords.matches(password, operator.password_hash if operator else None)
    if operator is None or not is_right or operator.disabled_at is not None:
        _log.warning("operator sign-in failed", address=browser.address)
        raise Refused(WRONG)
    if operator.is_password_temporary and _is_over(context, operator):
        raise Refused("This one-time password is too old. Ask an owner for a new one.")
    if operator.password_hash is not None and passwords.is_outdated(operator.password_hash):
        await accounts.rehash(context, operator, password)
    return operator


def first_step(operator: Operator) -> str:
    """What a browser carries, signed, that has proved the password: it is worth nothing once there is a newer one."""
    return f"{operator.id} {operator.password_set_at}"


async def prove_code(context: Context, step: str, code: str, browser: Browser) -> Operator:
    """The operator who has proved the password before, and now the second factor: a code, or a recovery code.

    Args:
        context: as everywhere.
        step: of `first_step`.
        code: as it was typed.
        browser: where it was.

    Raises:
        Refused: it is wrong or used, there were too many wrong ones lately, or the password is another one by now.
    """
    async with context.database.transaction() as session:
        operator = await session.get_one(Operator, UUID(step.partition(" ")[0]))
    await attempts.count(context, operator.email, browser)
    if step != first_step(operator):
        raise Refused(CHANGED)
    if operator.disabled_at is not None or not await second_factor.spend(context, operator.id, code):
        _log.warning("operator sign-in failed at the second step", address=browser.address)
        raise Refused(WRONG_CODE)
    return operator


async def prove_again(context: Context, operator: Operator, proof: str, browser: Browser) -> None:
    """That whoever sits there is still the operator: their password, or a code of their second factor.

    Raises:
        Refused: it is neither, or there were too many wrong ones lately.
    """
    await attempts.count(context, operator.email, browser)
    is_code = operator.totp_confirmed_at is not None and await second_factor.spend(context, operator.id, proof)
    if not is_code and not await passwords.matches(proof, operator.password_hash):
        raise Refused("That is not your password." if operator.totp_confirmed_at is None else "That is wrong.")
    async with context.database.transaction() as session:
        await attempts.forget(session, operator.email)


def _is_over(context: Context, operator: Operator) -> bool:
    return operator.password_set_at is None or context.clock() >= operator.password_set_at + TEMPORARY_LIFE
