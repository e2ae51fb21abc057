"""Seal everything with the newest key, online and in batches."""

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update

from app.context import Context
from app.encryption import forget_old_canaries
from app.resources.models import SECRETS, Resource, purpose

_BATCH: Final = 200


async def count_resources(context: Context) -> int:
    """How many rows there are to look at."""
    async with context.database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Resource)) or 0


async def reencrypt(context: Context) -> AsyncIterator[tuple[int, int]]:
    """Work through all resources; after each batch, how many were looked at and how many of them were sealed anew.

    A column is written only if it still holds what was read, so that a refresh or a rotation at the same time wins.
    What others write meanwhile is sealed with the newest key already, once every process was restarted with it.
    """
    last = UUID(int=0)
    while True:
        async with context.database.transaction() as session:
            query = select(Resource).where(Resource.uuid > last).order_by(Resource.uuid).limit(_BATCH)
            resources = (await session.scalars(query)).all()
            renewed = 0
            for resource in resources:
                for column, old, new in _stale(context, resource):
                    changed = await session.execute(
                        update(Resource)
                        .where(Resource.uuid == resource.uuid, getattr(Resource, column) == old)
                        .values({column: new})
                        .execution_options(synchronize_session=False)
                    )
                    renewed += changed.rowcount  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        if not resources:
            break
        last = resources[-1].uuid
        yield len(resources), renewed
    async with context.database.transaction() as session:
        await forget_old_canaries(session, context.keys)


def _stale(context: Context, resource: Resource) -> list[tuple[str, bytes, bytes]]:
    """The sealed columns that an older key has sealed: name, value, and the value sealed anew."""
    found: list[tuple[str, bytes, bytes]] = []
    for secret in SECRETS:
        column = f"{secret}_sealed"
        sealed: Any = getattr(resource, column)
        if sealed is not None and not context.keys.is_current(sealed):
            bound_to = purpose(secret, resource.uuid)
            found.append((column, sealed, context.keys.seal(context.keys.open(sealed, bound_to), bound_to)))
    return found
