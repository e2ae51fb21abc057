"""Which resource somebody means who types instead of clicking."""

from typing import Final
from uuid import UUID

from sqlalchemy import or_, select

from app.context import Context
from app.errors import Refused
from app.operations.search_words import hex_digits, uuid_range
from app.resources.models import Resource

_NAMED_AT_MOST: Final = 5


async def find_uuid(context: Context, text: str) -> UUID:
    """The resource with this uuid, with a uuid that begins so (at least four digits), or with this name.

    Raises:
        Refused: there is none, or there are several; says which.
    """
    text = text.strip()
    means = [Resource.name == text]
    if (digits := hex_digits(text)) is not None:
        means.append(Resource.uuid.between(*uuid_range(digits)))
    query = select(Resource.uuid, Resource.name, Resource.state).where(or_(*means)).limit(_NAMED_AT_MOST + 1)
    async with context.database.transaction() as session:
        found = (await session.execute(query)).all()
    if not found:
        raise Refused(f"There is no resource {text}.")
    if len(found) > 1:
        named = [f"{uuid} ({name}, {state})" for uuid, name, state in found[:_NAMED_AT_MOST]]
        more = ["others"] if len(found) > _NAMED_AT_MOST else []
        raise Refused(f"{text} may be any of {', '.join([*named, *more])}: say which by its uuid.")
    uuid: UUID = found[0].uuid
    return uuid
