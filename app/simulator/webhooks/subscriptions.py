"""Webhook subscriptions: who wants to be told of what, and where.

https://devcenter.heroku.com/articles/app-webhooks and https://devcenter.heroku.com/articles/addon-webhooks.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlsplit
from uuid import uuid4

from app.simulator.errors import invalid, not_found
from app.simulator.records import AddOn, App
from app.simulator.world import World

from .records import Level, Webhook, WebhookDelivery, WebhookEvent

INCLUDES = (
    "api:addon", "api:addon-attachment", "api:app", "api:build", "api:collaborator", "api:domain", "api:dyno",
    "api:formation", "api:release", "api:sni-endpoint", "api:ssl-endpoint",
)  # fmt: skip
# An add-on partner may include these only after Heroku allowed it, and has to ask.
ON_REQUEST = frozenset({"api:build", "api:dyno", "api:formation", "api:release"})
# Heroku takes subscriptions to these as well; nothing in the simulator ever causes such an event.
NEVER_HAPPENS = frozenset({"api:build", "api:domain", "api:sni-endpoint", "api:ssl-endpoint"})
_LONGEST_URL = 2000
_LONGEST_SECRET = 1000
# What may stand in a header line: a sign outside of it could end the line.
_HEADER_TEXT = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def subscribe(world: World, owner: App | AddOn, fields: Mapping[str, Any]) -> tuple[Webhook, str | None]:
    """Create a subscription from the fields of a request: include, level, url, and authorization and secret if given.

    Returns it with the secret that was made for it, None when the caller brought one. Raises 422 for a field that
    cannot be.
    """
    given = _secret(fields.get("secret"))
    made = None if given else _new_secret()
    webhook = Webhook(
        id=str(uuid4()),
        scope="app" if isinstance(owner, App) else "addon",
        scope_id=owner.id,
        scope_name=owner.name,
        include=_include(fields.get("include")),
        level=_level(fields.get("level")),
        url=_url(fields.get("url")),
        created_at=world.now(),
        updated_at=world.now(),
        secret=given or made or "",
        authorization=_authorization(fields.get("authorization")),
    )
    world.webhooks[webhook.id] = webhook
    world.log(f"A webhook for {', '.join(webhook.include)} was added to {owner.name}.", **_about(owner))
    return webhook, made


def change(world: World, webhook: Webhook, fields: Mapping[str, Any]) -> str | None:
    """Change what `fields` names, all or nothing; returns a newly made secret, which `secret: null` asks for.

    That null asks for a new secret is a choice made here: Heroku says that the field may be null and not what it does.
    """
    changed: dict[str, Any] = {}
    for name, read in (
        ("include", _include), ("level", _level), ("url", _url), ("authorization", _authorization), ("secret", _secret)
    ):  # fmt: skip
        if name in fields:
            changed[name] = read(fields[name])
    made = None
    if "secret" in changed and changed["secret"] is None:
        changed["secret"] = made = _new_secret()
    for name, value in changed.items():
        setattr(webhook, name, value)
    webhook.updated_at = world.now()
    world.changed()
    return made


def unsubscribe(world: World, webhook: Webhook) -> None:
    """Delete a subscription and what was still to be delivered to it."""
    for delivery in deliveries_of(world, webhook):
        del world.webhook_deliveries[delivery.id]
    del world.webhooks[webhook.id]
    drop_lonely_events(world)
    world.changed()


def webhooks_of(world: World, owner: App | AddOn) -> list[Webhook]:
    return [one for one in world.webhooks.values() if one.scope_id == owner.id and one.ended_at is None]


def webhook_of(world: World, owner: App | AddOn, webhook_id: str) -> Webhook:
    found = world.webhooks.get(webhook_id)
    if found is None or found not in webhooks_of(world, owner):
        raise not_found("webhook")
    return found


def deliveries_of(world: World, webhook: Webhook) -> list[WebhookDelivery]:
    """List the deliveries to one subscriber in their order."""
    return [one for one in world.webhook_deliveries.values() if one.webhook_id == webhook.id]


def deliveries_for(world: World, owner: App | AddOn) -> list[WebhookDelivery]:
    ids = {webhook.id for webhook in webhooks_of(world, owner)}
    return [one for one in world.webhook_deliveries.values() if one.webhook_id in ids]


def events_for(world: World, owner: App | AddOn) -> list[WebhookEvent]:
    return [one for one in world.webhook_events.values() if one.scope_id == owner.id]


def drop_lonely_events(world: World) -> None:
    """Forget the events of which no delivery is left."""
    told = {delivery.event_id for delivery in world.webhook_deliveries.values()}
    for event_id in world.webhook_events.keys() - told:
        del world.webhook_events[event_id]


def _about(owner: App | AddOn) -> dict[str, Any]:
    return {"app": owner} if isinstance(owner, App) else {"addon": owner}


def _new_secret() -> str:
    return secrets.token_hex(30)


def _include(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise invalid("Include must be a list of at least one event type, such as api:release.")
    for one in value:
        if one not in INCLUDES:
            raise invalid(f"Include {str(one)[:100]!r} is not an event type; those are {', '.join(INCLUDES)}.")
    return list(dict.fromkeys(value))


def _level(value: Any) -> Level:
    if value not in get_args(Level):
        raise invalid("Level must be notify or sync.")
    level: Level = value
    return level


def _url(value: Any) -> str:
    """Take an http or https address. Real receivers need https; one on the developer's machine has no certificate."""
    wrong = invalid("Url must be a full http or https address, such as https://example.com/hooks.")
    if not isinstance(value, str) or len(value) > _LONGEST_URL or not _HEADER_TEXT.fullmatch(value) or " " in value:
        raise wrong
    try:
        parts = urlsplit(value)
        is_full = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None
    if not is_full:
        raise wrong
    if "@" in parts.netloc:
        raise invalid("Url must not carry a password; give it as authorization, which is kept secret.")
    return value


def _authorization(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_SECRET or not _HEADER_TEXT.fullmatch(value):
        raise invalid("Authorization must be a text that can be sent as a header, such as Bearer and a token.")
    return value


def _secret(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SECRET:
        raise invalid(f"Secret must be a text of 1 to {_LONGEST_SECRET} characters.")
    return value
