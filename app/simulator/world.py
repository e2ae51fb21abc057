"""The pretend Heroku's memory and its rules: who has which add-on, what config vars an app sees, when it is released.

Nothing here talks to anyone; `calls.py` does. Whoever changes a record by hand calls `changed()` afterwards.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_DNS, uuid4, uuid5

from .errors import invalid, not_found
from .names import ADD_ON_NAME, APP_NAME, APP_NAME_RULE, new_addon_name
from .offer import Offer
from .records import Activity, AddOn, App, Attachment, Customer, Exchange, Records, Release

_KEPT_EXCHANGES = 300
_KEPT_ACTIVITY = 1000
_PEOPLE = (("Ada Owner", "ada@example.com"), ("Ben Builder", "ben@example.com"), ("Zoë Vérité", "zoë@example.com"))


def utc_now() -> datetime:
    return datetime.now(UTC)


# The kinds of things that Heroku's webhooks tell about, without their `api:`.
EventKind = Literal["addon", "addon-attachment", "app", "collaborator", "dyno", "formation", "release"]
EventAction = Literal["create", "update", "destroy"]


@dataclass(frozen=True)
class Event:
    """Something that happened to `thing`, a record, on `apps`; `addon` is the one it is about, if it is about one.

    It is told while the record can still be described: of what is destroyed, before it is.
    """

    kind: EventKind
    action: EventAction
    thing: Any
    apps: tuple[App, ...]
    addon: AddOn | None
    by_email: str


def _nothing() -> None:
    pass


@dataclass
class World(Records):
    """All records, the clock and the rules. `on_change` is called after every change, `listeners` for every event."""

    offer: Offer = field(kw_only=True)
    clock: Callable[[], datetime] = field(default=utc_now, kw_only=True)
    on_change: Callable[[], None] = field(default=_nothing, kw_only=True, repr=False)
    listeners: list[Callable[[Event], None]] = field(default_factory=list, kw_only=True, repr=False)
    revision: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not self.customers:
            for name, email in _PEOPLE:
                customer_id = str(uuid5(NAMESPACE_DNS, email))
                self.customers[customer_id] = Customer(customer_id, name, email, f"HRKU-{uuid4()}")
            self.create_app("example-shop", region=self.offer.app_regions[0])

    # The clock

    def now(self) -> datetime:
        return self.clock() + self.clock_offset

    def move_clock(self, by: timedelta) -> None:
        if by < timedelta():
            raise invalid("The clock only moves forward.")
        self.clock_offset += by
        self.log(f"The clock was moved forward by {by}.")

    # Finding things: by id or by name, as in every path of Heroku's API

    def app(self, ref: str) -> App:
        found = self.apps.get(ref) or next((app for app in self.apps.values() if app.name == ref), None)
        if found is None:
            raise not_found("app")
        return found

    def addon(self, ref: str) -> AddOn:
        """Find an add-on that is still installed; one that was removed is not found, as on Heroku."""
        found = self.addons.get(ref) or next((one for one in self.installed() if one.name == ref), None)
        if found is None or found.state == "deprovisioned":
            raise not_found("add-on")
        return found

    def installed(self) -> Iterable[AddOn]:
        return (addon for addon in self.addons.values() if addon.state != "deprovisioned")

    def attachments_of(self, addon: AddOn) -> list[Attachment]:
        return [one for one in self.attachments.values() if one.addon_id == addon.id]

    def attachments_on(self, app: App) -> list[Attachment]:
        return [one for one in self.attachments.values() if one.app_id == app.id]

    def apps_of(self, addon: AddOn) -> list[App]:
        """List the apps the add-on is attached to, the owning one first."""
        ids = dict.fromkeys([addon.app_id, *(one.app_id for one in self.attachments_of(addon))])
        return [self.apps[app_id] for app_id in ids]

    def people_of(self, app: App) -> list[Customer]:
        return [self.customers[customer_id] for customer_id in (app.owner_id, *app.collaborator_ids)]

    # Apps and their config vars

    def create_app(self, name: str, *, region: str = "us", owner: Customer | None = None) -> App:
        """Make an app of `owner` alone; without one it is the first person's, and all others work on it."""
        self.check_app_name(name)
        owner_id, *others = [owner.id] if owner else self.customers
        app = App(str(uuid4()), name, region, owner_id, others, self.now(), self.now())
        self.apps[app.id] = app
        self.tell("app", "create", app, app)
        self.cut_release(app, "Initial release")
        return app

    def check_app_name(self, name: str) -> None:
        if not APP_NAME.fullmatch(name):
            raise invalid(APP_NAME_RULE)
        if any(app.name == name for app in self.apps.values()):
            raise invalid(f"Name {name} is already taken.")

    def config_name(self, attachment: Attachment, config_var: str) -> str:
        return self.offer.config_name(attachment.name, config_var)

    def config_vars(self, app: App) -> dict[str, str]:
        """Return what the app's dynos see: its own config vars and its add-ons', which win."""
        return app.config | self.addon_config_vars(app)

    def addon_config_vars(self, app: App) -> dict[str, str]:
        """Return what the app has from its add-ons. One still provisioning adds nothing yet."""
        return {
            self.config_name(attachment, name): value
            for attachment in self.attachments_on(app)
            if (addon := self.addons[attachment.addon_id]).state == "provisioned"
            for name, value in addon.config.items()
        }

    def cut_release(self, app: App, description: str, user_email: str | None = None) -> Release:
        plans = [
            f"{self.offer.slug}:{self.addons[one.addon_id].plan}"
            for one in self.attachments_on(app)
            if self.addons[one.addon_id].state == "provisioned"
        ]
        release = Release(
            id=str(uuid4()),
            version=len(app.releases) + 1,
            description=description,
            user_email=user_email or self.customers[app.owner_id].email,
            addon_plan_names=plans,
            created_at=self.now(),
            config=dict(app.config),
            addon_config=self.addon_config_vars(app),
        )
        app.releases.append(release)
        self.tell("release", "create", release, app, by_email=release.user_email)
        self.log(f"Release v{release.version}: {description}", app=app)
        return release

    # Add-ons

    def install(
        self, app: App, plan: str, *, name: str | None, options: dict[str, str | bool], by_email: str | None = None
    ) -> AddOn:
        """Record a new add-on in state provisioning; the partner has not been asked yet."""
        if name is not None:
            self.check_addon_name(name)
        addon = AddOn(
            id=str(uuid4()),
            name=name or new_addon_name(self.offer.slug, {one.name for one in self.installed()}),
            plan=plan,
            app_id=app.id,
            region=app.region,
            state="provisioning",
            created_at=self.now(),
            updated_at=self.now(),
            options=options,
        )
        if "syslog_drain" in self.offer.requires:
            addon.log_drain_token = f"d.{uuid4()}"
        self.addons[addon.id] = addon
        self.tell("addon", "create", addon, app, addon=addon, by_email=by_email)
        self.changed()
        return addon

    def check_addon_name(self, name: str) -> None:
        if not ADD_ON_NAME.fullmatch(name):
            raise invalid("Name must start with a letter and contain only letters, digits, dashes and underscores.")
        if any(addon.name == name for addon in self.installed()):
            raise invalid(f"Name {name} is already taken.")

    def rename_addon(self, addon: AddOn, name: str, *, by_email: str | None = None) -> None:
        """Rename an add-on; its partner is not called and its config vars keep their names."""
        if name == addon.name:
            return
        self.check_addon_name(name)
        old_name, addon.name, addon.updated_at = addon.name, name, self.now()
        self.tell("addon", "update", addon, *self.apps_of(addon), addon=addon, by_email=by_email)
        self.log(f"{old_name} was renamed to {name}.", app=self.apps[addon.app_id], addon=addon)

    def set_config(self, addon: AddOn, changes: dict[str, str | None], *, by_email: str) -> None:
        """Set or, with None, unset config vars; a provisioned add-on's change is released to every app it is on."""
        config = {name: value for name, value in (addon.config | changes).items() if value is not None}
        if config == addon.config:
            return
        addon.config, addon.updated_at = config, self.now()
        self.tell("addon", "update", addon, *self.apps_of(addon), addon=addon, by_email=by_email)
        if addon.state == "provisioned":
            for attachment in self.attachments_of(addon):
                names = ", ".join(self.config_name(attachment, name) for name in sorted(changes))
                self.cut_release(self.apps[attachment.app_id], f"Set {names} config vars", by_email)
        self.changed()

    def mark_provisioned(self, addon: AddOn, *, by_email: str | None = None) -> None:
        """Finish provisioning: now the config vars reach the apps. Harmless when it is provisioned already."""
        if addon.state != "provisioning":
            return
        addon.state, addon.updated_at, addon.provisioned_at = "provisioned", self.now(), self.now()
        self.tell("addon", "update", addon, *self.apps_of(addon), addon=addon, by_email=by_email)
        for attachment in self.attachments_of(addon):
            self.cut_release(self.apps[attachment.app_id], f"Attach {attachment.name} (@{addon.name})", by_email)
        self.changed()

    def remove(self, addon: AddOn, why: str, *, has_failed: bool = False, by_email: str | None = None) -> None:
        """Take the add-on off every app and kill its tokens; the record stays as deprovisioned.

        `has_failed` says that provisioning came to nothing, rather than that a customer wanted it gone.
        """
        apps = self.apps_of(addon)
        self._take_off(addon, by_email)
        addon.failed_at = self.now() if has_failed else None
        for app in apps:
            self.log(f"{addon.name} was removed: {why}", app=app, addon=addon)

    def forget(self, addon: AddOn, *, by_email: str | None = None) -> None:
        """Undo an installation that never came to be."""
        self._take_off(addon, by_email)
        del self.addons[addon.id]
        self.changed()

    def _take_off(self, addon: AddOn, by_email: str | None = None) -> None:
        was_provisioned, attachments = addon.state == "provisioned", self.attachments_of(addon)
        apps = self.apps_of(addon)
        for attachment in attachments:
            app = self.apps[attachment.app_id]
            self.tell("addon-attachment", "destroy", attachment, app, addon=addon, by_email=by_email)
        self.tell("addon", "destroy", addon, *apps, addon=addon, by_email=by_email)
        addon.state, addon.updated_at, addon.config = "deprovisioned", self.now(), {}
        for attachment in attachments:
            del self.attachments[attachment.id]
            if was_provisioned:
                description = f"Detach {attachment.name} (@{addon.name})"
                self.cut_release(self.apps[attachment.app_id], description, by_email)
        self.drop_credentials(addon)

    def drop_credentials(self, addon: AddOn) -> None:
        for grant in [grant for grant in self.grants.values() if grant.addon_id == addon.id]:
            del self.grants[grant.code]
        for access in [token for token in self.access_tokens.values() if token.addon_id == addon.id]:
            del self.access_tokens[access.token]
        for refresh in [token for token in self.refresh_tokens.values() if token.addon_id == addon.id]:
            del self.refresh_tokens[refresh.token]
        self.changed()

    # History

    def tell(
        self,
        kind: EventKind,
        action: EventAction,
        thing: Any,
        *apps: App,
        addon: AddOn | None = None,
        by_email: str | None = None,
    ) -> None:
        """Let the listeners know; without `by_email` it was the first app's owner."""
        email = by_email or self.customers[apps[0].owner_id].email
        event = Event(kind, action, thing, apps, addon, email)
        for listener in self.listeners:
            listener(event)

    def log(self, text: str, *, app: App | None = None, addon: AddOn | None = None) -> None:
        line = Activity(self.now(), text, app.id if app else None, addon.id if addon else None)
        self.activity.append(line)
        del self.activity[:-_KEPT_ACTIVITY]
        self.changed()

    def record(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        del self.exchanges[:-_KEPT_EXCHANGES]
        self.changed()

    def changed(self) -> None:
        self.revision += 1
        self.on_change()
