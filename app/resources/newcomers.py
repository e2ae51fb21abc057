"""Writing down new resources, all that wait at once in one statement: row, event and jobs, committed together.

The primary key decides which of many simultaneous requests with one uuid came first, in whatever process they are. What
is there already comes back as it is: a repeated request is answered from it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from app.context import Context
from app.database import each_of, lines
from app.encryption import KeyRing
from app.job_queue import enqueue_all
from app.resources.lifecycle import HEROKU, PROGRAM
from app.resources.made_at_once import COLUMNS, FOLLOWS, READY, Made, moment
from app.resources.models import Resource, Secret, State, purpose


@dataclass(frozen=True, slots=True)
class Known:
    """What of a row is needed to answer a repeated request: see `models.py`. Making a whole row of it takes longer."""

    uuid: UUID
    state: State
    refusal: str | None
    message: str | None
    unsettled_since: datetime | None
    config_sealed: bytes | None = field(repr=False)
    grant_sealed: bytes | None = field(repr=False)
    refresh_token_sealed: bytes | None = field(repr=False)

    @property
    def is_being_made(self) -> bool:
        """Whether some request, here or in another process, is at it just now."""
        return self.state is State.PROVISIONING and self.unsettled_since is not None

    def config(self, keys: KeyRing) -> dict[str, str]:
        """The wanted config vars, names to values; empty before there are any."""
        config: dict[str, str] = json.loads(self._open(keys, "config", self.config_sealed) or "{}")
        return config

    def grant(self, keys: KeyRing) -> str | None:
        """What came first and has not been exchanged."""
        return self._open(keys, "grant", self.grant_sealed)

    def _open(self, keys: KeyRing, secret: Secret, sealed: bytes | None) -> str | None:
        return None if sealed is None else keys.open(sealed, purpose(secret, self.uuid))


_KNOWN: Final = tuple(name for name in Known.__slots__ if name != "uuid")


def known(resource: Resource) -> Known:
    """What is needed of a whole row."""
    return Known(resource.uuid, *(getattr(resource, name) for name in _KNOWN))


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
    service: "Service | None" = None

    def row(self) -> dict[str, Any]:
        """What `_COLUMNS` names."""
        row = {name: value for name in _OWN if (value := getattr(self, name)) is not None}
        return row if self.service is None else self.service.made.row() | row | {"service": self.service.row}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is sold, where that is one row which is written with the resource's: see `OwnTable` in `drivers/base.py`.

    Attributes:
        made: as the resource's row is to say it.
        row: of the driver's table, as JSON.
    """

    made: Made
    row: Mapping[str, Any] = field(repr=False)


_OWN: Final = tuple(name for name in Newcomer.__slots__ if name != "service")


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
    known: Known | None


_COLUMNS: Final = f"""
    {COLUMNS}, service jsonb, name text, region text, options jsonb, is_instant boolean, refusal text,
    seed_sealed bytea, grant_sealed bytea,
    log_input_url_sealed bytea, log_drain_token_sealed bytea, log_drain_digest bytea"""


@cache
def _statement(insert: str) -> str:
    # In the order of their uuids, or two processes could each wait for a row of the other.
    return f"""
    WITH wanted AS (
        SELECT given.*, service IS NOT NULL AS is_ready, coalesce(given.refusal, withdrawal.sentence) AS refused
        FROM {each_of("wanted", _COLUMNS)}
        LEFT JOIN plan_withdrawals withdrawal ON withdrawal.plan = given.plan
    ), made AS (
        INSERT INTO resources (
            uuid, name, plan, region, options, created_at, seed_sealed, grant_sealed,
            grant_received_at, log_input_url_sealed, log_drain_token_sealed, log_drain_digest,
            state, unsettled_since, config_version, pushed_version,
            provisioned_at, credentials_at, config_changed_at, config_due_at,
            service_plan, message, config_sealed, details_sealed, generation, failures
        )
        SELECT
            uuid, name, plan, region, options, %(now)s, seed_sealed, grant_sealed,
            CASE WHEN grant_sealed IS NOT NULL THEN %(now)s END,
            log_input_url_sealed, log_drain_token_sealed, log_drain_digest,
            CASE WHEN is_ready THEN '{State.PROVISIONED}' ELSE '{State.PROVISIONING}' END,
            CASE WHEN is_instant AND NOT is_ready THEN %(now)s END, is_ready::integer, is_ready::integer,
            ready_at, ready_at, ready_at, CASE WHEN has_config THEN %(due_at)s::timestamptz END,
            CASE WHEN is_ready THEN plan END, message, config_sealed, details_sealed, 1, 0
        FROM wanted CROSS JOIN LATERAL (SELECT CASE WHEN is_ready THEN %(now)s::timestamptz END AS ready_at) AS moment
        WHERE refused IS NULL ORDER BY uuid
        ON CONFLICT DO NOTHING
        RETURNING uuid
    ), new AS (
        SELECT wanted.* FROM made JOIN wanted USING (uuid)
    ), told AS (
        INSERT INTO events (resource_uuid, at, kind, actor, text, is_for_customer, plan_after)
        SELECT uuid, %(now)s, kind, actor, text, true, plan_after FROM new CROSS JOIN LATERAL (
            VALUES (1, 'requested', '{HEROKU}', 'Install requested with the ' || plan || ' plan', NULL),
                   (2, 'provisioned', '{PROGRAM}', {READY}, plan)
        ) AS event (place, kind, actor, text, plan_after)
        WHERE place = 1 OR is_ready ORDER BY uuid, place
    ), work AS (
        SELECT job, uuid, traceparent, place
        FROM new CROSS JOIN (VALUES ('exchange_grant', 1), ('provision_service', 2)) AS jobs (job, place)
        WHERE CASE job WHEN 'exchange_grant' THEN grant_sealed IS NOT NULL ELSE NOT is_instant END
    ), queued AS MATERIALIZED (SELECT {enqueue_all("work")} AS ids)
    {_with_services(insert) if insert else ""}
    SELECT
        wanted.uuid, made.uuid IS NOT NULL AS is_new, refused, known.uuid IS NOT NULL AS is_known,
        {", ".join(f"known.{name}" for name in _KNOWN)}, (SELECT count(*) FROM queued)
    FROM wanted LEFT JOIN made USING (uuid)
    -- Row by row, by the key: a plan for all of them at once, made while the table was small, would read all of it.
    LEFT JOIN LATERAL (SELECT * FROM resources WHERE uuid = wanted.uuid AND made.uuid IS NULL LIMIT 1) known ON true
    """  # noqa: S608 - made of constants of this program # nosec B608


def _with_services(insert: str) -> str:
    return f"""
    , services AS (
        SELECT service FROM new
    ), sold AS ({insert.replace("%", "%%")}), ready AS (
        SELECT uuid, plan, has_usage, traceparent FROM new
    ), {FOLLOWS}
    """  # noqa: S608 - a driver's own constant, and ours # nosec B608


async def write(context: Context, newcomers: Sequence[Newcomer], insert: str = "") -> Sequence[Entry]:
    """Write down those that are new, and find the others; all of it is committed when this returns, or nothing is.

    Args:
        context: as everywhere.
        newcomers: one of each uuid: of two in one statement neither would see what the other has done.
        insert: the driver's, if all of them bring their `service`; none does otherwise.

    Raises:
        Retry: the database is not available.
    """
    given = {"wanted": lines(one.row() for one in newcomers), **moment(context)}
    async with context.database.statements() as connection:
        rows = await (await connection.execute(_statement(insert), given)).fetchall()
    found = {row[0]: _entry(row) for row in rows}
    entries = [found[one.uuid] for one in newcomers]
    for one, entry in zip(newcomers, entries, strict=True):
        if entry.is_new and one.service is not None:
            context.watch.provisioned(one.plan, 0)
    return entries


def _entry(row: Sequence[Any]) -> Entry:
    uuid, is_new, refused, is_known, *values = row
    if not is_known:
        return Entry(is_new=is_new, refused=refused, known=None)
    state, *others, _ = values
    return Entry(is_new=False, refused=None, known=Known(uuid, State(state), *others))
