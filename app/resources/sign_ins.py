"""Customers who come in with a form from Heroku: all forms that wait at once are used up in one statement.

The unique digest lets each form work once, in whatever process it arrives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.context import Context
from app.database import each_of, lines

_GIVEN: Final = """
    id uuid, resource_uuid uuid, form_digest bytea, weak_digest bytea, email text, user_id text, is_user_proven boolean,
    actor text, says text"""
# A form that was used up with a stronger token than this one's is named by the digest that both have in common.
_USE: Final = f"""
    WITH form AS (
        SELECT given.* FROM {each_of("forms", _GIVEN)}
    ), judged AS (
        SELECT
            form.*,
            -- Not with EXISTS, or a plan that was made while the tables were small would read all of them.
            (SELECT state <> 'deprovisioned' FROM resources WHERE uuid = resource_uuid) IS TRUE AS is_there,
            NOT is_user_proven AND
                (SELECT true FROM sign_ins WHERE covered_digest = weak_digest LIMIT 1) IS TRUE AS is_spent
        FROM form
    ), come_in AS (
        INSERT INTO sign_ins (id, resource_uuid, form_digest, covered_digest, at, email, user_id, is_user_proven)
        SELECT
            id, resource_uuid, form_digest, CASE WHEN is_user_proven THEN weak_digest END, %(now)s,
            email, user_id, is_user_proven
        FROM judged WHERE is_there AND NOT is_spent ORDER BY form_digest
        ON CONFLICT DO NOTHING
        RETURNING id
    ), told AS (
        INSERT INTO events (resource_uuid, at, kind, actor, text, is_for_customer)
        SELECT resource_uuid, %(now)s, 'signed_in', actor, says, true FROM come_in JOIN judged USING (id)
    )
    SELECT
        id,
        CASE WHEN NOT is_there THEN 'no such resource, or it has been deprovisioned'
             WHEN is_spent THEN 'the form was used before, with its stronger token'
             WHEN come_in.id IS NULL THEN 'the form was used before' END AS refused
    FROM judged LEFT JOIN come_in USING (id)
"""  # noqa: S608 - made of constants of this file # nosec B608


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form whose token is right.

    Attributes:
        id: of the sign-in that it is to become.
        resource_uuid: what it opens.
        form_digest: of all that it says; no second one is accepted.
        weak_digest: of what its weaker tokens cover; a form proved by the strongest one spends these as well.
        email: as Heroku gave it; perhaps nobody's.
        user_id: as Heroku gave it.
        is_user_proven: whether Heroku vouches for the two.
        actor: who comes in, for the history.
        says: the line in the history.
    """

    id: UUID
    resource_uuid: UUID
    form_digest: bytes
    weak_digest: bytes
    email: str
    user_id: str
    is_user_proven: bool
    actor: str
    says: str


async def use(context: Context, forms: Sequence[Form]) -> Sequence[str | None]:
    """Use each form up and write down who came in; why not, for the log, or None.

    Args:
        context: as everywhere.
        forms: one of each `weak_digest`: of two in one statement neither would see the other.

    Raises:
        Retry: the database is not available.
    """
    given = {"forms": lines(map(_row, forms)), "now": context.clock()}
    async with context.database.statements() as connection:
        rows = await (await connection.execute(_USE, given)).fetchall()
    found: dict[UUID, str | None] = dict(rows)
    return [found[form.id] for form in forms]


def _row(form: Form) -> Mapping[str, Any]:
    return {name: getattr(form, name) for name in Form.__slots__}
