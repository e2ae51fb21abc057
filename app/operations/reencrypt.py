"""Seal everything with the newest key, online and in batches."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from app.context import Context
from app.encryption import forget_old_canaries
from app.operators import second_factor
from app.operators.models import Operator
from app.resources.models import SECRETS, Resource, Secret, purpose

_BATCH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """A table with sealed columns: its key, and for each column what its values are bound to in the row of that key."""

    table: type[Any]
    key: InstrumentedAttribute[UUID]
    purposes: dict[str, Callable[[UUID], str]]


def _resource_purpose(secret: Secret) -> Callable[[UUID], str]:
    return lambda uuid: purpose(secret, uuid)


_SEALED: Final[Sequence[_Sealed]] = (
    _Sealed(
        table=Resource,
        key=Resource.uuid,
        purposes={f"{secret}_sealed": _resource_purpose(secret) for secret in SECRETS},
    ),
    _Sealed(table=Operator, key=Operator.id, purposes={"totp_secret_sealed": second_factor.purpose}),
)


async def count_rows(context: Context) -> int:
    """How many rows there are to look at."""
    async with context.database.transaction() as session:
        numbers = [await session.scalar(select(func.count()).select_from(sealed.table)) for sealed in _SEALED]
    return sum(number or 0 for number in numbers)


async def reencrypt(context: Context) -> AsyncIterator[tuple[int, int]]:
    """Work through all rows; after each batch, how many were looked at and how many values were sealed anew.

    A column is written only if it still holds what was read, so that a refresh or a rotation at the same time wins.
    What others write meanwhile is sealed with the newest key already, once every process was restarted with it. The
    canaries of older keys go last: a run that was cut short leaves them, and with them the need for those keys.
    """
    for sealed in _SEALED:
        last = UUID(int=0)
        while True:
            looked_at, renewed, last = await _batch(context, sealed, last)
            if not looked_at:
                break
            yield looked_at, renewed
    async with context.database.transaction() as session:
        await forget_old_canaries(session, context.keys)


async def _batch(context: Context, sealed: _Sealed, last: UUID) -> tuple[int, int, UUID]:
    """The rows after `last`: how many they are, how many values were sealed anew, and the last of their keys."""
    renewed = 0
    async with context.database.transaction() as session:
        query = select(sealed.table).where(sealed.key > last).order_by(sealed.key).limit(_BATCH)
        rows = (await session.scalars(query)).all()
        for row in rows:
            last = getattr(row, sealed.key.key)
            for column, bound_to in sealed.purposes.items():
                old = getattr(row, column)
                if old is None or context.keys.is_current(old):
                    continue
                new = context.keys.seal(context.keys.open(old, bound_to(last)), bound_to(last))
                changed = await session.execute(
                    update(sealed.table)
                    .where(sealed.key == last, getattr(sealed.table, column) == old)
                    .values({column: new})
                    .execution_options(synchronize_session=False)
                )
                renewed += changed.rowcount  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
    return len(rows), renewed, last
