"""What happens in the world, told to whoever subscribed to it.

The bodies are those of https://devcenter.heroku.com/articles/webhook-events: `data` is the thing as the platform API
describes it, `previous_data` has what it said before of the keys that changed.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid4, uuid5

from app.simulator.process_shapes import dyno_shape, formation_shape
from app.simulator.records import AddOn, App
from app.simulator.shapes import (
    Shape,
    addon_shape,
    app_shape,
    attachment_shape,
    collaborator_shape,
    moment,
    release_shape,
)
from app.simulator.world import Event, EventKind, World

from .records import Webhook, WebhookDelivery, WebhookEvent
from .subscriptions import drop_lonely_events

# https://devcenter.heroku.com/changelog-items/1966: seven days' worth, at most 300 a webhook.
_KEPT_FOR = timedelta(days=7)
_KEPT_EACH = 300
_KEPT_IN_ALL = 1000
# Nothing changes them once they are: there is no need to remember how they looked.
_NEVER_UPDATED = frozenset({"addon-attachment", "release"})
_VERSION = "application/vnd.heroku+json; version=3"


class WebhookEvents:
    """Listens to the world. Everything told is put in line before the call that caused it goes on."""

    def __init__(self, world: World, url: str) -> None:
        self._world = world
        self._url = url.rstrip("/")
        self._last_seen: dict[str, dict[str, Shape]] = {}
        for app in world.apps.values():
            self._see_all(app)

    def publish(self, event: Event) -> None:
        """Make an event for each app and add-on with a subscription that includes it, and its deliveries."""
        world, data = self._world, self._describe(event)
        include = f"api:{event.kind}"
        for webhooks in self._subscribed(event, include):
            self._tell(webhooks, include, self._payload(event, data))
        if event.action == "destroy" and event.kind in {"addon", "app"}:
            self._end(data["id"])
        self._see(event, data)
        self._forget_old()
        world.changed()

    def _subscribed(self, event: Event, include: str) -> Iterable[list[Webhook]]:
        """Group who is to be told by app or add-on: each has events of its own, as each has lists of its own.

        An add-on hears of itself and of the apps it is attached to, not of other add-ons there.
        """
        candidates = [one for one in self._world.webhooks.values() if include in one.include and one.ended_at is None]
        scope_ids = {app.id for app in event.apps}
        if event.addon is not None:
            scope_ids.add(event.addon.id)
        elif any(webhook.scope == "addon" for webhook in candidates):
            scope_ids |= {addon.id for app in event.apps for addon in self._addons_on(app)}
        found: dict[str, list[Webhook]] = {}
        for webhook in candidates:
            if webhook.scope_id in scope_ids:
                found.setdefault(webhook.scope_id, []).append(webhook)
        return found.values()

    def _addons_on(self, app: App) -> list[AddOn]:
        attached = {attachment.addon_id for attachment in self._world.attachments_on(app)}
        return [one for one in self._world.installed() if one.app_id == app.id or one.id in attached]

    def _describe(self, event: Event) -> Shape:
        world, thing, app = self._world, event.thing, event.apps[0]
        shapes: dict[EventKind, Callable[[], Shape]] = {
            "addon": lambda: addon_shape(world, thing, self._url),
            "addon-attachment": lambda: attachment_shape(world, thing, self._url),
            "app": lambda: app_shape(world, thing, self._url),
            "collaborator": lambda: collaborator_shape(app, thing),
            "dyno": lambda: dyno_shape(app, thing),
            "formation": lambda: formation_shape(app, thing),
            "release": lambda: release_shape(app, thing),
        }
        return shapes[event.kind]()

    def _payload(self, event: Event, data: Shape) -> Shape:
        before: Shape = {}
        if event.action == "update":
            before = next((seen[data["id"]] for seen in self._seen_on(event.apps) if data["id"] in seen), {})
        return {
            "action": event.action,
            "actor": {"email": event.by_email, "id": self._person_id(event.by_email)},
            "data": data,
            "previous_data": {
                key: value
                for key, value in before.items()
                if key != "updated_at" and value != data.get(key)
            },
            "resource": event.kind,
            "version": _VERSION,
        }  # fmt: skip

    def _seen_on(self, apps: Iterable[App]) -> Iterable[dict[str, Shape]]:
        return (self._last_seen[app.id] for app in apps if app.id in self._last_seen)

    def _person_id(self, email: str) -> str:
        people = {person.email: person.id for person in self._world.customers.values()}
        return people.get(email) or str(uuid5(NAMESPACE_DNS, email))

    def _tell(self, webhooks: list[Webhook], include: str, payload: Shape) -> None:
        world, now = self._world, self._world.now()
        event = WebhookEvent(str(uuid4()), self._next_seq(), webhooks[0].scope_id, include, now, payload)
        world.webhook_events[event.id] = event
        for webhook in webhooks:
            delivery = WebhookDelivery(str(uuid4()), self._next_seq(), webhook.id, event.id, now, now)
            world.webhook_deliveries[delivery.id] = delivery

    def _next_seq(self) -> int:
        self._world.webhook_seq += 1
        return self._world.webhook_seq

    def _end(self, scope_id: str) -> None:
        for webhook in self._world.webhooks.values():
            if webhook.scope_id == scope_id and webhook.ended_at is None:
                webhook.ended_at = self._world.now()

    def _see_all(self, app: App) -> None:
        """Remember how the app and all of its things look now, for the `previous_data` of events to come."""
        seen = [app_shape(self._world, app, self._url)]
        seen += [formation_shape(app, process) for process in app.formation]
        seen += [dyno_shape(app, dyno) for dyno in app.dynos]
        seen += [collaborator_shape(app, person) for person in self._world.people_of(app)]
        seen += [addon_shape(self._world, one, self._url) for one in self._addons_on(app)]
        self._last_seen[app.id] = {shape["id"]: shape for shape in seen}

    def _see(self, event: Event, data: Shape) -> None:
        """Remember anew what the event may have changed: its thing, its add-on's config vars, its apps' dates."""
        for app in event.apps:
            if event.kind == "app" and event.action == "destroy":
                self._last_seen.pop(app.id, None)
                continue
            if event.kind == "app" or app.id not in self._last_seen:  # an app's name is in all of its things
                self._see_all(app)
            seen = self._last_seen[app.id]
            seen[app.id] = app_shape(self._world, app, self._url)
            if event.addon is not None:
                seen[event.addon.id] = addon_shape(self._world, event.addon, self._url)
            if event.action == "destroy":
                seen.pop(data["id"], None)
            elif event.kind not in _NEVER_UPDATED:
                seen[data["id"]] = data

    def _forget_old(self) -> None:
        """Keep what Heroku keeps of each webhook. What is still to be delivered does not age."""
        world, horizon = self._world, self._world.now() - _KEPT_FOR
        lines: dict[str, list[WebhookDelivery]] = {}
        for delivery in world.webhook_deliveries.values():
            lines.setdefault(delivery.webhook_id, []).append(delivery)
        gone = {one.id for line in lines.values() for one in line[:-_KEPT_EACH]}
        finished = [one for line in lines.values() for one in line if one.is_finished]
        finished.sort(key=lambda one: one.seq)
        gone |= {one.id for one in finished if one.created_at < horizon}
        gone |= {one.id for one in finished[:-_KEPT_IN_ALL]}
        for delivery_id in gone:
            del world.webhook_deliveries[delivery_id]
        if gone:
            drop_lonely_events(world)
        for webhook in list(world.webhooks.values()):
            if webhook.ended_at is not None and all(one.id in gone for one in lines.get(webhook.id, [])):
                del world.webhooks[webhook.id]


def body_of(webhook: Webhook, event: WebhookEvent, delivery: WebhookDelivery, attempt_id: str) -> dict[str, Any]:
    """Return what is posted: the event with the ids of this attempt. Heroku sends no time of publishing here."""
    at = moment(event.created_at)
    metadata = {
        "attempt": {"id": attempt_id},
        "delivery": {"id": delivery.id},
        "event": {"id": event.id, "include": event.include},
        "webhook": {"id": webhook.id},
    }
    return {
        "id": event.id,
        "created_at": at,
        "updated_at": at,
        "published_at": None,
        "sequence": None,
        **event.payload,
        "webhook_metadata": metadata,
    }
