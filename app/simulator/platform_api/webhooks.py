"""Webhook subscriptions, their deliveries and events: of an app for customers, of an add-on for its partner.

https://devcenter.heroku.com/articles/app-webhooks-schema and
https://devcenter.heroku.com/articles/platform-api-reference#add-on-webhook. A secret leaves once, in a header of the
answer that made it; `authorization` never does.
"""

from typing import Any, get_args

from app.simulator.errors import forbidden, invalid, not_found
from app.simulator.records import AddOn, App
from app.simulator.shapes import Shape, moment
from app.simulator.verdicts import hint, note
from app.simulator.webhooks import subscriptions as webhooks
from app.simulator.webhooks.records import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent
from app.simulator.world import World

from .call import Call, api


def _owner(call: Call) -> App | AddOn:
    """Return whose webhooks the path names; an app's are its people's, an add-on's its partner's alone."""
    if "addon" in call.path:
        return call.own_addon()
    if call.caller.customer is None:
        raise forbidden("An add-on's token opens the webhooks of its add-on, not an app's.")
    return call.app()


def webhook_shape(webhook: Webhook, owner: App | AddOn) -> Shape:
    return {
        webhook.scope: {"id": owner.id, "name": owner.name},
        "created_at": moment(webhook.created_at),
        "id": webhook.id,
        "include": webhook.include,
        "level": webhook.level,
        "updated_at": moment(webhook.updated_at),
        "url": webhook.url,
    }


def delivery_shape(world: World, delivery: WebhookDelivery) -> Shape:
    webhook, event = world.webhooks[delivery.webhook_id], world.webhook_events[delivery.event_id]
    last = delivery.attempts[-1] if delivery.attempts else None
    return {
        "created_at": moment(delivery.created_at),
        "event": {"id": event.id, "include": event.include},
        "id": delivery.id,
        "last_attempt": last
        and {
            "code": last.code,
            "created_at": moment(last.created_at),
            "error_class": last.error_class,
            "id": last.id,
            "status": last.status,
            "updated_at": moment(last.updated_at),
        },
        "next_attempt_at": delivery.next_attempt_at and moment(delivery.next_attempt_at),
        "num_attempts": delivery.num_attempts,
        "seq": delivery.seq,
        "status": delivery.status,
        "updated_at": moment(delivery.updated_at),
        "webhook": {"id": webhook.id, "level": webhook.level},
    }


def event_shape(event: WebhookEvent) -> Shape:
    """Describe an event. The payload's `published_at`, which the command line shows, is not in the published schema."""
    at = moment(event.created_at)
    return {
        "created_at": at,
        "id": event.id,
        "include": event.include,
        "payload": {**event.payload, "published_at": at},
        "seq": event.seq,
        "updated_at": at,
    }


async def list_webhooks(call: Call) -> Any:
    owner = _owner(call)
    return [webhook_shape(webhook, owner) for webhook in webhooks.webhooks_of(call.world, owner)]


async def create_webhook(call: Call) -> Any:
    owner = _owner(call)
    webhook, secret = webhooks.subscribe(call.world, owner, await call.body())
    _remark(call, webhook)
    return _with_secret(call, webhook, owner, secret)


async def get_webhook(call: Call) -> Any:
    owner = _owner(call)
    return webhook_shape(webhooks.webhook_of(call.world, owner, call.path["webhook"]), owner)


async def change_webhook(call: Call) -> Any:
    owner = _owner(call)
    webhook = webhooks.webhook_of(call.world, owner, call.path["webhook"])
    secret = webhooks.change(call.world, webhook, await call.body())
    _remark(call, webhook)
    return _with_secret(call, webhook, owner, secret)


async def delete_webhook(call: Call) -> Any:
    owner = _owner(call)
    webhook = webhooks.webhook_of(call.world, owner, call.path["webhook"])
    webhooks.unsubscribe(call.world, webhook)
    return webhook_shape(webhook, owner)


async def list_deliveries(call: Call) -> Any:
    """List the deliveries, with `?eq[status]=` those of one status."""
    found = webhooks.deliveries_for(call.world, _owner(call))
    status = call.request.query_params.get("eq[status]")
    if status is not None and status not in get_args(DeliveryStatus):
        raise invalid(f"There is no status {status[:50]!r}; choose one of {', '.join(get_args(DeliveryStatus))}.")
    return [delivery_shape(call.world, one) for one in found if status in {None, one.status}]


async def get_delivery(call: Call) -> Any:
    owner, delivery = _owner(call), call.world.webhook_deliveries.get(call.path["delivery"])
    if delivery is None or delivery not in webhooks.deliveries_for(call.world, owner):
        raise not_found("webhook-delivery")
    return _without_seq(delivery_shape(call.world, delivery))


async def list_events(call: Call) -> Any:
    return [event_shape(event) for event in webhooks.events_for(call.world, _owner(call))]


async def get_event(call: Call) -> Any:
    owner, event = _owner(call), call.world.webhook_events.get(call.path["event"])
    if event is None or event.scope_id != owner.id:
        raise not_found("webhook-event")
    return _without_seq(event_shape(event))


async def no_pipeline(call: Call) -> Any:  # noqa: ARG001 - all handlers alike
    """Answer what `heroku webhooks --pipeline` asks: this world has no pipelines."""
    raise not_found("pipeline")


def _with_secret(call: Call, webhook: Webhook, owner: App | AddOn, secret: str | None) -> Shape:
    if secret is not None:
        call.headers["Heroku-Webhook-Secret"] = secret
    return webhook_shape(webhook, owner)


def _without_seq(shape: Shape) -> Shape:
    return {key: value for key, value in shape.items() if key != "seq"}


def _remark(call: Call, webhook: Webhook) -> None:
    """Say on the exchange what an add-on's developer cannot see from here."""
    if webhook.scope != "addon":
        return
    on_request = sorted(webhooks.ON_REQUEST.intersection(webhook.include))
    if on_request:
        call.request.state.findings.append(
            hint(f"Heroku lets a partner include {', '.join(on_request)} only after being asked for it.")
        )
    never = sorted(webhooks.NEVER_HAPPENS.intersection(webhook.include))
    if never:
        call.request.state.findings.append(note(f"The simulator never has events of {', '.join(never)}."))
    if not webhook.url.startswith("https:"):
        call.request.state.findings.append(note("On Heroku itself use an https url: the events are not for others."))


def _routes(owner: str) -> list[Any]:
    hooks, deliveries, events = f"{owner}/webhooks", f"{owner}/webhook-deliveries", f"{owner}/webhook-events"
    return [
        api("GET", hooks, list_webhooks),
        api("POST", hooks, create_webhook, status=201),
        api("GET", f"{hooks}/{{webhook}}", get_webhook),
        api("PATCH", f"{hooks}/{{webhook}}", change_webhook),
        api("DELETE", f"{hooks}/{{webhook}}", delete_webhook),
        api("GET", deliveries, list_deliveries, order=("seq", "id")),
        api("GET", f"{deliveries}/{{delivery}}", get_delivery),
        api("GET", events, list_events, order=("seq", "id")),
        api("GET", f"{events}/{{event}}", get_event),
    ]


ROUTES = [
    *_routes("/apps/{app}"),
    *_routes("/addons/{addon}"),
    *(
        api(method, f"/pipelines/{{pipeline}}/{rest}", no_pipeline)
        for method, rest in (
            ("GET", "webhooks"), ("POST", "webhooks"), ("GET", "webhooks/{webhook}"), ("PATCH", "webhooks/{webhook}"),
            ("DELETE", "webhooks/{webhook}"), ("GET", "webhook-deliveries"), ("GET", "webhook-deliveries/{delivery}"),
            ("GET", "webhook-events"), ("GET", "webhook-events/{event}"),
        )
    ),
]  # fmt: skip
