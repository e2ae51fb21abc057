"""Writing down new resources, all that wait at once in one statement: row, event and jobs, committed together.

The primary key decides which of many simultaneous requests with one uuid came first, in whatever process they are. What
is there already comes back as it is: a repeated request is answered from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.context import Context
from app.database import each_of, texts_of
from app.job_queue import enqueue_all
from app.resources.lifecycle import HEROKU
from app.resources.models import Resource, State

# What of a row is needed to answer a repeated request.
_KNOWN: Final = (
    "plan",
    "state",
    "refusal",
    "message",
    "unsettled_since",
    "config_sealed",
    "grant_sealed",
    "refresh_token_sealed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A resource to be written down.

    Attributes:
        uuid: Heroku's id of it.
        name: of the add-on.
        plan: its name.
        region: as Heroku writes it.
        options: as the customer gave them.
        is_instant: a request is about to make the service itself: there is no job for that.
        refusal: a sentence, if nobody new may have the plan.
        traceparent: for the jobs.
        seed_sealed: and the others: see `models.py`.
    """

    uuid: UUID
    name: str
    plan: str
    region: str
    options: Mapping[str, Any]
    is_instant: bool
    refusal: str | None
    traceparent: str | None
    seed_sealed: bytes = field(repr=False)
    grant_sealed: bytes | None = field(repr=False)
    log_input_url_sealed: bytes | None = field(repr=False)
    log_drain_token_sealed: bytes | None = field(repr=False)
    log_drain_digest: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What has become of a newcomer.

    Attributes:
        is_new: this call has made the row; nobody else is told so.
        refused: why no row was made, for the customer.
        known: the row that was there before, as far as an answer needs it.
    """

    is_new: bool
    refused: str | None
    known: Resource | None


_WANTED: Final = (
    ("uuid", "uuid"),
    ("name", "text"),
    ("plan", "text"),
    ("region", "text"),
    ("options", "jsonb"),
    ("is_instant", "boolean"),
    ("refusal", "text"),
    ("traceparent", "text"),
    ("seed_sealed", "bytea"),
    ("grant_sealed", "bytea"),
    ("log_input_url_sealed", "bytea"),
    ("log_drain_token_sealed", "bytea"),
    ("log_drain_digest", "bytea"),
)

# In the order of their uuids, or two processes could each wait for a row of the other.
_WRITE: Final = f"""
    WITH wanted AS (
        SELECT given.*, coalesce(given.refusal, withdrawal.sentence) AS refused
        FROM {each_of(", ".join(" ".join(column) for column in _WANTED))}
        LEFT JOIN plan_withdrawals withdrawal ON withdrawal.plan = given.plan
    ), made AS (
        INSERT INTO resources (
            uuid, name, plan, region, options, state, created_at, unsettled_since, seed_sealed, grant_sealed,
            grant_received_at, log_input_url_sealed, log_drain_token_sealed, log_drain_digest,
            config_version, pushed_version, generation, failures
        )
        SELECT
            uuid, name, plan, region, options, '{State.PROVISIONING}', %s, CASE WHEN is_instant THEN %s END,
            seed_sealed, grant_sealed, CASE WHEN grant_sealed IS NOT NULL THEN %s END,
            log_input_url_sealed, log_drain_token_sealed, log_drain_digest, 0, 0, 1, 0
        FROM wanted WHERE refused IS NULL ORDER BY uuid
        ON CONFLICT DO NOTHING
        RETURNING uuid
    ), told AS (
        INSERT INTO events (resource_uuid, at, kind, actor, text, is_for_customer)
        SELECT uuid, %s, 'requested', '{HEROKU}', 'Install requested with the ' || plan || ' plan', true
        FROM made JOIN wanted USING (uuid)
    ), work AS (
        SELECT job, uuid, traceparent, place
        FROM made JOIN wanted USING (uuid)
        CROSS JOIN (VALUES ('exchange_grant', 1), ('provision_service', 2)) AS jobs (job, place)
        WHERE CASE job WHEN 'exchange_grant' THEN grant_sealed IS NOT NULL ELSE NOT is_instant END
    ), queued AS MATERIALIZED (SELECT {enqueue_all("work")} AS ids)
    SELECT
        wanted.uuid, made.uuid IS NOT NULL AS is_new, refused, known.uuid IS NOT NULL AS is_known,
        {", ".join(f"known.{name}" for name in _KNOWN)}, (SELECT count(*) FROM queued)
    FROM wanted LEFT JOIN made USING (uuid)
    -- Row by row, by the key: a plan for all of them at once, made while the table was small, would read all of it.
    LEFT JOIN LATERAL (SELECT * FROM resources WHERE uuid = wanted.uuid AND made.uuid IS NULL LIMIT 1) known ON true
"""  # noqa: S608 - made of constants of this file # nosec B608


async def write(context: Context, newcomers: Sequence[Newcomer]) -> Sequence[Entry]:
    """Write down those that are new, and find the others; all of it is committed when this returns, or nothing is.

    Args:
        context: as everywhere.
        newcomers: one of each uuid: of two in one statement neither would see what the other has done.

    Raises:
        Retry: the database is not available.
    """
    at = context.clock()
    wanted = texts_of(newcomers, [name for name, _ in _WANTED])
    async with context.database.statements() as connection:
        rows = await (await connection.execute(_WRITE, (wanted, at, at, at, at))).fetchall()
    found = {row[0]: _entry(row) for row in rows}
    return [found[one.uuid] for one in newcomers]


def _entry(row: Sequence[Any]) -> Entry:
    uuid, is_new, refused, is_known, *values = row
    if not is_known:
        return Entry(is_new=is_new, refused=refused, known=None)
    known = Resource(uuid=uuid, **dict(zip(_KNOWN, values[: len(_KNOWN)], strict=True)))
    known.state = State(known.state)
    return Entry(is_new=False, refused=None, known=known)
