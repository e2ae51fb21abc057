"""What Heroku has told by webhooks, for operators: found, looked at, and handled once more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args
from uuid import UUID

from sqlalchemy import select

from app.context import Context
from app.errors import Gone, Refused
from app.operations.action import Action, Order, Parameter
from app.operators.roles import Role
from app.resources import webhooks
from app.resources.models import Resource
from app.resources.traces import WebhookEvent, WebhookStatus
from app.resources.webhook_subscription import INCLUDE

PAGE: Final = 50
STATUSES: Final[Sequence[str]] = get_args(WebhookStatus)
KINDS: Final[Sequence[str]] = sorted(INCLUDE)
_CHOICES: Final = 50
_ALL_FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Found:
    """A webhook, and the name of its resource."""

    event: WebhookEvent
    resource_name: str


async def find(
    context: Context,
    *,
    status: str = "",
    kind: str = "",
    resource: UUID | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> tuple[Sequence[Found], int | None]:
    """Webhooks, newest first, and what to give as `before` for older ones, if there are any.

    Args:
        context: as everywhere.
        status: one of `STATUSES`, or empty.
        kind: one of `KINDS`, or empty.
        resource: whose.
        before: the id of the last one of the page before.
        limit: how many.

    Raises:
        Refused: there is no such status, or Heroku tells nothing of such a kind.
    """
    if status and status not in STATUSES:
        raise Refused(f"There is no status {status[:50]}. There are: {', '.join(STATUSES)}.")
    if kind and kind not in KINDS:
        raise Refused(f"Nothing is told about {kind[:50]}. There are: {', '.join(KINDS)}.")
    query = select(WebhookEvent, Resource.name).join(Resource, Resource.uuid == WebhookEvent.resource_uuid)
    for is_asked, condition in (
        (bool(status), WebhookEvent.status == status),
        (bool(kind), WebhookEvent.include == kind),
        (resource is not None, WebhookEvent.resource_uuid == resource),
        (before is not None, WebhookEvent.id < (before or 0)),
    ):
        if is_asked:
            query = query.where(condition)
    async with context.database.transaction() as session:
        rows = (await session.execute(query.order_by(WebhookEvent.id.desc()).limit(limit + 1))).all()
    found = [Found(event, name) for event, name in rows[:limit]]
    return found, found[-1].event.id if len(rows) > limit else None


def summary(event: WebhookEvent) -> str:
    """A webhook in a few words: `api:app update: boutique`."""
    subject = event.facts.get("name")
    return f"{event.include} {event.action}" + (f": {subject}" if subject else "")


def _why_not(_context: Context, resource: Resource) -> str | None:
    return "A deprovisioned resource has nothing left to ask Heroku about." if resource.is_gone else None


async def _foretell(_context: Context, resource: Resource) -> str:
    return (
        f"Heroku is asked once more about {resource.name}: its app, that app's owner, its plan there, and where it is "
        "attached. What has changed is told in the history. Neither the service nor the app is touched."
    )


async def _choices(context: Context, resource: Resource) -> Sequence[tuple[str, str]]:
    found, _ = await find(context, resource=resource.uuid, limit=_CHOICES)
    events = [one.event for one in found]
    choices = [
        (str(one.id), f"{summary(one)}, {one.at:%Y-%m-%d %H:%M:%S} UTC ({one.status})")
        for one in events
        if one.status != "waiting"
    ]
    failed = sum(one.status == "failed" for one in events)
    return [(_ALL_FAILED, f"all that failed ({failed})"), *choices] if failed > 1 else choices


async def _handle_again(context: Context, uuid: UUID, order: Order) -> str:
    chosen = order.parameters["webhook"]
    if chosen == _ALL_FAILED:
        found, _ = await find(context, status="failed", resource=uuid, limit=_CHOICES)
        ids = [one.event.id for one in found]
    else:
        ids = [int(chosen)]
    try:
        number = await webhooks.handle_again(context, uuid, ids, **order.signature)
    except Gone:
        raise Refused("It has been deprovisioned meanwhile.") from None
    return f"{number} webhook{'' if number == 1 else 's'} will be handled again within moments."


HANDLE_AGAIN: Final = Action(
    id="handle-webhook",
    title="Handle a webhook again",
    role=Role.SUPPORT,
    why_not=_why_not,
    foretell=_foretell,
    run=_handle_again,
    parameters=(
        Parameter(
            name="webhook",
            label="Webhook",
            choices=_choices,
            no_choices="Heroku has told nothing about it in the last thirty days that could be handled again.",
        ),
    ),
)
