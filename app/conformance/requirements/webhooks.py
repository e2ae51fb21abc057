"""Heroku's webhooks, when the add-on subscribed to them: only signed ones are believed, repeated ones do no harm."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.wire import Answer
from app.simulator.records import AddOn
from app.simulator.webhooks.delivery import signature
from app.simulator.webhooks.events import body_of
from app.simulator.webhooks.records import Webhook, WebhookDelivery

from . import background
from .answers import not_crashed, without_exception_text
from .docs import WEBHOOKS

_SUBSCRIBES_WITHIN_SECONDS = 2
_NOTHING_FOLLOWS_WITHIN_SECONDS = 0.3
_SIGNATURE = "Heroku-Webhook-Hmac-SHA256"


async def _subscribed(bench: Bench) -> tuple[AddOn, Webhook]:
    """Return an add-on and its subscription; NotApplicable when none is made soon after the provision."""
    if bench.subscribes is False:
        raise NotApplicable("The add-on subscribes to no webhooks.")
    addon = await bench.provisioned()

    def own() -> list[Webhook]:
        return [one for one in bench.world.webhooks.values() if one.scope_id == addon.id and one.ended_at is None]

    within = bench.target.patience if bench.subscribes else min(_SUBSCRIBES_WITHIN_SECONDS, bench.target.patience)
    bench.subscribes = await bench.until(own, within=within)
    if not bench.subscribes:
        raise NotApplicable("The add-on subscribes to no webhooks.")
    return addon, own()[0]


def _happen(bench: Bench, addon: AddOn, webhook: Webhook) -> WebhookDelivery:
    """Let something happen that the subscription is about, and return its delivery, which is on its way."""
    world = bench.world
    app, attachment = world.apps[addon.app_id], world.attachments_of(addon)[0]
    happenings: dict[str, Callable[[], object]] = {
        "api:addon": lambda: world.rename_addon(addon, f"conform-{uuid4().hex[:12]}"),
        "api:app": lambda: world.tell("app", "update", app, app),
        "api:addon-attachment": lambda: world.tell("addon-attachment", "create", attachment, app, addon=addon),
        "api:release": lambda: world.cut_release(app, "A release"),
    }
    for include in webhook.include:
        if include in happenings:
            happenings[include]()
            return [one for one in world.webhook_deliveries.values() if one.webhook_id == webhook.id][-1]
    raise NotApplicable(f"Nothing can be made to happen for {', '.join(webhook.include)}.")


def _event(bench: Bench, addon: AddOn, webhook: Webhook) -> dict[str, Any]:
    """Return the body of an event as it would be delivered, with an id of its own."""
    delivery = _happen(bench, addon, webhook)
    event = bench.world.webhook_events[delivery.event_id]
    body = body_of(webhook, event, delivery, str(uuid4()))
    new_id = str(uuid4())
    body["webhook_metadata"]["event"]["id"] = new_id
    return body | {"id": new_id}


def _bytes(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


async def _deliver(bench: Bench, webhook: Webhook, content: bytes, signed: str | None) -> Answer:
    headers = {"Accept": "*/*", _SIGNATURE: signed}
    return await bench.ask("POST", webhook.url, content=content, headers=headers, auth=webhook.authorization)


def _is_taken(answer: Answer, sent: str) -> None:
    if not answer.is_success:
        raise Unmet("It is answered 2xx, or Heroku sends it again.", f"{sent}: {answer.said}", answer.exchange)


@must("webhooks", WEBHOOKS, needs=["provision-works"])
async def webhook_is_taken(bench: Bench) -> None:
    """A webhook that Heroku signed is answered 2xx."""
    addon, webhook = await _subscribed(bench)
    delivery = _happen(bench, addon, webhook)
    await bench.until(lambda: delivery.attempts and delivery.attempts[-1].status != "scheduled")
    attempt = delivery.attempts[-1] if delivery.attempts else None
    if attempt is None or attempt.status != "succeeded":
        seen = "It was not." if attempt is None or attempt.code is None else f"The answer was {attempt.code}."
        exchange = next((one for one in bench.world.exchanges if attempt and one.id == attempt.exchange_id), None)
        raise Unmet("It is answered 2xx within ten seconds.", seen, exchange)


@must("webhooks", WEBHOOKS, needs=["webhook-is-taken"])
async def webhook_without_the_right_signature_is_refused(bench: Bench) -> None:
    """A webhook whose Heroku-Webhook-Hmac-SHA256 is wrong, missing or another body's is answered 4xx."""
    addon, webhook = await _subscribed(bench)
    content = _bytes(_event(bench, addon, webhook))
    other = _bytes(_event(bench, addon, webhook))
    right = signature(webhook.secret, content)
    forgeries = {
        "a signature with another secret": (content, signature("another-secret", content)),
        "no signature": (content, None),
        "an empty signature": (content, ""),
        "half a signature": (content, right[: len(right) // 2]),
        "a signature that is no base64": (content, "!"),
        "the signature of another body": (other, right),
        "one byte more than was signed": (content + b" ", right),
    }
    for sent, (body, signed) in forgeries.items():
        answer = await _deliver(bench, webhook, body, signed)
        if answer.status is None or not 400 <= answer.status < 500:
            raise Unmet("It is answered 4xx: anybody can send such a thing.", f"{sent}: {answer.said}", answer.exchange)


@must("webhooks", WEBHOOKS, needs=["webhook-is-taken"])
async def repeated_webhook_is_taken(bench: Bench) -> None:
    """A webhook that comes twice, because its answer was lost, is answered 2xx both times."""
    addon, webhook = await _subscribed(bench)
    content = _bytes(_event(bench, addon, webhook))
    for sent in ("An event", "The same event again"):
        _is_taken(await _deliver(bench, webhook, content, signature(webhook.secret, content)), sent)


@must("webhooks", WEBHOOKS, needs=["webhook-is-taken"])
async def webhooks_in_any_order_are_taken(bench: Bench) -> None:
    """Webhooks arrive in any order: an older event after a newer one is answered 2xx."""
    addon, webhook = await _subscribed(bench)
    older, newer = (_bytes(_event(bench, addon, webhook)) for _ in range(2))
    for sent, content in (("The newer event", newer), ("The older event after it", older)):
        _is_taken(await _deliver(bench, webhook, content, signature(webhook.secret, content)), sent)


@must("webhooks", WEBHOOKS, needs=["webhook-is-taken"])
async def signed_nonsense_does_not_crash(bench: Bench) -> None:
    """A signed webhook that is no JSON, no object, or of a kind yet unknown, is answered without an error status."""
    addon, webhook = await _subscribed(bench)
    event = _event(bench, addon, webhook)
    strange = {
        "no JSON": b"{",
        "an array": b"[]",
        "an object with nothing in it": b"{}",
        "an event of an unknown kind": _bytes(event | {"resource": "teapot", "action": "boil"}),
        "an event whose data is null": _bytes(event | {"id": str(uuid4()), "data": None, "previous_data": None}),
    }
    for sent, content in strange.items():
        answer = await _deliver(bench, webhook, content, signature(webhook.secret, content))
        not_crashed(answer, sent)
        without_exception_text(answer, sent)


@should("webhooks", WEBHOOKS, needs=["webhook-is-taken"])
async def webhook_about_the_add_ons_own_change_starts_nothing(bench: Bench) -> None:
    """An event that the add-on itself caused, as its actor tells, starts no further change: else it never ends."""
    addon, webhook = await _subscribed(bench)
    event = _event(bench, addon, webhook)
    content = _bytes(event | {"actor": event["actor"] | {"email": bench.simulator.calls.partner_email}})
    # What follows from the customer's change, of which this one is a copy, is none of this check's business.
    await bench.until(lambda: False, within=_NOTHING_FOLLOWS_WITHIN_SECONDS)
    before = len(background.calls(bench, addon))
    _is_taken(await _deliver(bench, webhook, content, signature(webhook.secret, content)), "An event of its own")
    await bench.until(lambda: len(background.calls(bench, addon)) > before, within=_NOTHING_FOLLOWS_WITHIN_SECONDS)
    later = background.calls(bench, addon)[before:]
    if later:
        raise Unmet("Nothing follows from it.", f"{later[0].method} was called because of it.", later[0])


REQUIREMENTS = [
    webhook_is_taken,
    webhook_without_the_right_signature_is_refused,
    repeated_webhook_is_taken,
    webhooks_in_any_order_are_taken,
    signed_nonsense_does_not_crash,
    webhook_about_the_add_ons_own_change_starts_nothing,
]
