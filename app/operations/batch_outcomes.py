"""What became of a batch's resource: over when nothing that was enqueued for it waits any more, and well or not."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, and_, select

from app.job_queue import has_work
from app.operations.models import BatchItem, ItemState
from app.resources.models import Resource, State
from app.resources.traces import Event

# After that an item counts as failed, although its work is still tried.
PATIENCE: Final = timedelta(hours=1)
# Jobs that no action asks for.
_BESIDES: Final = ("measure_usage", "read_app", "keep_webhook", "handle_webhooks")
_PLAN_WENT_BACK: Final = "plan_change_failed"
_FAILURES: Final = ("given_up", "job_skipped", "rotation_failed", _PLAN_WENT_BACK)
_MOST_AT_ONCE: Final = 1000


def begun_items() -> Select[Any]:
    """A query for the items that have begun, the oldest first, each with what `outcome_of` wants to know."""
    is_here = Resource.state != State.DEPROVISIONED
    of_resource = Event.resource_uuid == BatchItem.resource_uuid
    failure = (
        select(Event.text)
        .where(of_resource, Event.id > BatchItem.begun_event_id, Event.kind.in_(_FAILURES))
        .order_by(Event.kind != _PLAN_WENT_BACK, Event.id)  # it tells more than the end of the job that it follows
        .limit(1)
        .correlate(BatchItem)
        .scalar_subquery()
    )
    return (
        select(
            BatchItem.batch_id,
            BatchItem.resource_uuid,
            BatchItem.begun_at,
            (Resource.deprovisioned_at >= BatchItem.begun_at).label("has_ended"),
            and_(is_here, Resource.config_version > Resource.pushed_version).label("needs_push"),
            Resource.rotation_requested_at,
            Resource.unknown_to_heroku_at,
            (Resource.unauthorized_at >= BatchItem.begun_at).label("is_unauthorized"),
            Resource.last_error,
            failure.label("failure"),
            has_work(Resource.uuid, besides=_BESIDES).label("has_work"),
        )
        .join(Resource, Resource.uuid == BatchItem.resource_uuid)
        .where(BatchItem.state == ItemState.BEGUN)
        .order_by(BatchItem.begun_at)
        .limit(_MOST_AT_ONCE)
    )


def outcome_of(row: Any, now: datetime) -> tuple[ItemState, str | None] | None:
    """What became of an item that has begun; None if that is open."""
    if row.has_ended:
        return ItemState.FAILED, "It was deprovisioned meanwhile."
    if row.failure is not None:
        return ItemState.FAILED, row.failure
    if row.has_work:
        if not row.is_unauthorized and row.begun_at >= now - PATIENCE:
            return None
        why = "Heroku does not accept its tokens" if row.is_unauthorized else "Not done within an hour"
        last = f" The last error was: {row.last_error}." if row.last_error else ""
        return ItemState.FAILED, f"{why}; it is still being tried.{last}"
    if row.needs_push or row.rotation_requested_at is not None:
        is_unknown = row.needs_push and row.unknown_to_heroku_at is not None
        why = "Its work was taken out of the queue before it was done."
        return ItemState.FAILED, "Heroku says that it does not know this resource." if is_unknown else why
    return ItemState.DONE, None
