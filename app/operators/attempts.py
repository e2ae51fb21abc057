"""How often somebody may try to sign in: limits for each account and for each address, also under many at once."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, and_, delete, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operators.models import FailedSignIn, Operator, OperatorSession

_log = structlog.get_logger(__name__)

# How many failures for one account, and from one address, are waited for before a pause.
MOST_FOR_ACCOUNT: Final = 5
MOST_FROM_ADDRESS: Final = 20
PAUSE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Where a sign-in comes from."""

    address: str
    name: str

    @property
    def network(self) -> str:
        """Whom a limit counts."""
        return network_of(self.address)


def network_of(address: str) -> str:
    """Whom a limit counts: of IPv6 the /64, all of whose addresses one customer of a provider has."""
    try:
        is_six = ipaddress.ip_address(address).version == 6
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if is_six else address


async def count(context: Context, email: str, browser: Browser) -> None:
    """Note that somebody tries; it counts as failed until `forget`, so that many at once are counted too.

    An operator is not locked out by strangers at an address where they have signed in before: what others try
    elsewhere does not count there.

    Raises:
        Refused: there were too many for this account, or from this address for any account.
    """
    now = context.clock()
    async with context.counting, context.database.transaction() as session:
        # Other processes count, too.
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('operator sign-in'))"))
        await session.execute(delete(FailedSignIn).where(FailedSignIn.at <= now - PAUSE))
        from_here = FailedSignIn.address == browser.network
        for_account: ColumnElement[bool] = FailedSignIn.email == email
        if await _is_known_at(session, email, browser):
            for_account = and_(for_account, from_here)
        for condition, most in ((for_account, MOST_FOR_ACCOUNT), (from_here, MOST_FROM_ADDRESS)):
            number = await session.scalar(select(func.count()).select_from(FailedSignIn).where(condition))
            if (number or 0) >= most:
                _log.warning("too many failed operator sign-ins", address=browser.address)
                minutes = PAUSE // timedelta(minutes=1)
                raise Refused(f"There were too many failed sign-ins. Please wait {minutes} minutes and try again.")
        session.add(FailedSignIn(at=now, email=email, address=browser.network))


async def forget(session: AsyncSession, email: str) -> None:
    """Every proof was there: what was counted for this account were no failures, or matter no more."""
    await session.execute(delete(FailedSignIn).where(FailedSignIn.email == email))


async def _is_known_at(session: AsyncSession, email: str, browser: Browser) -> bool:
    known = exists().where(
        Operator.email == email,
        OperatorSession.operator_id == Operator.id,
        OperatorSession.address == browser.address,
    )
    return bool(await session.scalar(select(known)))
