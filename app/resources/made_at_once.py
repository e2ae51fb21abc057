"""Writing down services that were made within Heroku's request: all that wait at once in one statement.

It is for the usual case alone, in which nothing has happened to the row since it was made. Whatever else may be true of
it, `lifecycle.record_service` knows what to do.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.app_log import PRIORITY
from app.context import Context
from app.database import each_of, lines
from app.drivers.base import Provisioned, ResourceInfo
from app.job_queue import enqueue_each_once
from app.resources.config_values import ARRIVES_WITHIN
from app.resources.lifecycle import PROGRAM, check_declared
from app.resources.models import Secret, State, purpose
from app.telemetry import tracing

# SQL for the line in the history.
READY: Final = "'Ready on the ' || plan || ' plan'"
# What follows in a statement that has made `ready`, with the columns uuid, plan, has_usage, traceparent. It takes the
# parameters `now` and `tells_apps`.
FOLLOWS: Final = f"""
    unsent AS (
        INSERT INTO unsent_log_lines (resource_uuid, at, text)
        SELECT uuid, %(now)s, {READY} FROM ready WHERE %(tells_apps)s::boolean
    ), following AS (
        SELECT uuid, traceparent, job, priority, is_apart
        FROM ready CROSS JOIN (
            VALUES ('measure_usage', -1, false), ('write_log', {PRIORITY}, true)
        ) AS jobs (job, priority, is_apart)
        WHERE CASE job WHEN 'measure_usage' THEN has_usage ELSE %(tells_apps)s::boolean END
    ), queued_once AS ({enqueue_each_once("following")})
"""  # noqa: S608 - made of constants of this file # nosec B608

COLUMNS: Final = """
    uuid uuid, plan text, message text, config_sealed bytea, details_sealed bytea, has_config boolean,
    has_usage boolean, traceparent text"""
_RECORD: Final = f"""
    WITH made AS (
        SELECT given.* FROM {each_of("made", COLUMNS)}
    ), ready AS (
        UPDATE resources SET
            state = '{State.PROVISIONED}', provisioned_at = %(now)s, unsettled_since = NULL, service_plan = made.plan,
            credentials_at = %(now)s,
            message = made.message, config_sealed = made.config_sealed, details_sealed = made.details_sealed,
            config_version = 1, pushed_version = 1, config_changed_at = %(now)s,
            config_due_at = CASE WHEN has_config THEN %(due_at)s::timestamptz END
        FROM made
        -- The key finds the rows. Were these plain comparisons, an index might be walked of all who have the plan, or
        -- of all that are being provisioned, with every row that has left it since the last vacuum.
        WHERE resources.uuid = made.uuid AND resources.plan IS NOT DISTINCT FROM made.plan
            AND state IS NOT DISTINCT FROM '{State.PROVISIONING}'
            AND generation = 1 AND config_version = 0 AND suspended_at IS NULL AND refusal IS NULL
        RETURNING resources.uuid, resources.plan, created_at, has_usage, traceparent
    ), told AS (
        INSERT INTO events (resource_uuid, at, kind, actor, text, is_for_customer, plan_after)
        SELECT uuid, %(now)s, 'provisioned', '{PROGRAM}', {READY}, true, plan FROM ready
    ), {FOLLOWS}
    SELECT uuid, created_at FROM ready
"""  # noqa: S608 - made of constants of this file # nosec B608


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A service that its driver has just made, as its row is to say it.

    Attributes:
        uuid: of a resource whose row has just been made.
        plan: on whose terms it was made.
        message: of the driver, for the customer.
        config_sealed: and `details_sealed`: see `models.py`. Most drivers have no details.
        has_config: whether there is anything that Heroku should have by and by.
        has_usage: whether its driver can tell how much of it is used.
        traceparent: for the jobs.
    """

    uuid: UUID
    plan: str
    message: str | None
    config_sealed: bytes = field(repr=False)
    details_sealed: bytes | None = field(repr=False)
    has_config: bool
    has_usage: bool
    traceparent: str | None

    def row(self) -> dict[str, Any]:
        """What `COLUMNS` names."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


def moment(context: Context) -> dict[str, Any]:
    """The parameters that say when, and whether apps' logs are written."""
    now = context.clock()
    return {"now": now, "due_at": now + ARRIVES_WITHIN, "tells_apps": context.app_log.is_on}


def made(context: Context, wanted: ResourceInfo, provisioned: Provisioned) -> Made:
    """What the driver has returned, sealed.

    Raises:
        ValueError: it has returned config vars that the manifest does not list.
    """
    check_declared(context, provisioned)

    uuid = str(wanted.uuid)

    def sealed(secret: Secret, value: Mapping[str, Any]) -> bytes:
        return context.keys.seal(json.dumps(dict(value)), purpose(secret, uuid))

    return Made(
        uuid=wanted.uuid,
        plan=wanted.plan,
        message=provisioned.message,
        config_sealed=sealed("config", provisioned.config),
        details_sealed=sealed("details", provisioned.details) if provisioned.details else None,
        has_config=bool(provisioned.config),
        has_usage=context.plans[wanted.plan].driver.can_tell_usage,
        traceparent=tracing.traceparent(),
    )


async def record(context: Context, all_made: Sequence[Made]) -> Sequence[bool]:
    """Write down each service; whether that was possible: where it was not, nothing has been done.

    Args:
        context: as everywhere.
        all_made: one of each uuid.

    Raises:
        Retry: the database is not available.
    """
    given = {"made": lines(one.row() for one in all_made), **moment(context)}
    async with context.database.statements() as connection:
        ready: dict[UUID, datetime] = dict(await (await connection.execute(_RECORD, given)).fetchall())
    for one in all_made:
        if one.uuid in ready:
            context.watch.provisioned(one.plan, (given["now"] - ready[one.uuid]).total_seconds())
    return [one.uuid in ready for one in all_made]
