"""Webhooks: who subscribed to what, what was told, and how each delivery went."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import not_found
from app.simulator.masking import masked_body, masked_url
from app.simulator.parts import parts
from app.simulator.webhooks.delivery import send_now
from app.simulator.webhooks.records import Webhook, WebhookDelivery, WebhookEvent
from app.simulator.webhooks.subscriptions import unsubscribe
from app.simulator.world import World

from .rendering import form, page, render

_SHOWN_DELIVERIES = 50


@dataclass(frozen=True)
class _Shown:
    """A delivery with what belongs to it. `owner` names the app or add-on, `subject` what happened to."""

    delivery: WebhookDelivery
    webhook: Webhook
    event: WebhookEvent
    owner: str
    url: str
    subject: str
    payload: str


async def show_webhooks(request: Request) -> Response:
    world = parts(request).world
    latest = list(world.webhook_deliveries.values())[::-1]
    return render(
        request,
        "webhooks.html",
        subscriptions=[
            (one, _owner_name(world, one), masked_url(one.url))
            for one in sorted(world.webhooks.values(), key=lambda one: (one.ended_at is not None, one.created_at))
        ],
        shown=[_shown(world, one) for one in latest[:_SHOWN_DELIVERIES]],
        hidden_count=len(latest[_SHOWN_DELIVERIES:]),
        kept_exchanges={exchange.id for exchange in world.exchanges},
    )


async def send(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    """Send a delivery again, or now if it waits, and come back when it was tried."""
    known = parts(request)
    delivery = known.world.webhook_deliveries.get(request.path_params["delivery"])
    if delivery is None:
        raise not_found("delivery; only the latest are kept")
    send_now(known.world, delivery)
    await known.catch_up()
    return "/marketplace/webhooks"


async def remove(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    world = parts(request).world
    webhook = world.webhooks.get(request.path_params["webhook"])
    if webhook is None:
        raise not_found("webhook")
    unsubscribe(world, webhook)
    return "/marketplace/webhooks"


def _shown(world: World, delivery: WebhookDelivery) -> _Shown:
    event, webhook = world.webhook_events[delivery.event_id], world.webhooks[delivery.webhook_id]
    payload = masked_body(json.dumps(event.payload).encode(), "application/json", ())
    return _Shown(
        delivery,
        webhook,
        event,
        owner=_owner_name(world, webhook),
        url=masked_url(webhook.url),
        subject=_subject(event.payload["data"]),
        payload=payload,
    )


def _owner_name(world: World, webhook: Webhook) -> str:
    """Return what the webhook's app or add-on is called now, or was when it is gone."""
    owner = world.apps.get(webhook.scope_id) or world.addons.get(webhook.scope_id)
    return owner.name if owner else webhook.scope_name


def _subject(data: dict[str, Any]) -> str:
    """Name an add-on, attachment, app or dyno; a release by its version, a person by e-mail, a process by type."""
    if "version" in data:
        return f"v{data['version']}"
    if "user" in data:
        return str(data["user"]["email"])
    return str(data.get("name") or data.get("type") or data["id"])


def routes() -> list[Route]:
    return [
        Route("/marketplace/webhooks", page(show_webhooks)),
        Route("/marketplace/webhooks/{webhook}/remove", form(remove), methods=["POST"]),
        Route("/marketplace/webhooks/deliveries/{delivery}/send", form(send), methods=["POST"]),
    ]
