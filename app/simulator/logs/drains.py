"""The rules of log drains: who may have which, where they lead, when they end.

https://devcenter.heroku.com/articles/log-drains for customers, and for add-ons
https://devcenter.heroku.com/articles/accessing-application-logs-as-an-add-on-partner: an add-on whose manifest requires
`syslog_drain` gives its `log_drain_url` with the provision. That drain is on the app that owns the add-on, is known to
the partner by the token it was sent, and ends with the add-on. What happens to the logs of further apps an add-on is
attached to is not documented; here they have no drain.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit
from uuid import uuid4

from app.simulator.errors import forbidden, invalid, not_found
from app.simulator.records import AddOn, App
from app.simulator.world import Event, World

from .records import LogDrain

_LONGEST_URL = 2000
SCHEMES = ("https", "http", "syslog+tls", "syslog")


def drains_on(world: World, app: App) -> list[LogDrain]:
    return [drain for drain in world.log_drains.values() if drain.app_id == app.id]


def drains_of(world: World, addon: AddOn) -> list[LogDrain]:
    return [drain for drain in world.log_drains.values() if drain.addon_id == addon.id]


def find(drains: Iterable[LogDrain], ref: str) -> LogDrain:
    """Find a drain by its id, its token or its URL, as in every path of Heroku's API."""
    found = next((drain for drain in drains if ref in {drain.id, drain.token, drain.url}), None)
    if found is None:
        raise not_found("log-drain")
    return found


def add(world: World, app: App, url: object, *, addon: AddOn | None = None, token: str | None = None) -> LogDrain:
    checked = _checked(url)
    if any(drain.url == checked for drain in drains_on(world, app) if addon is None):
        raise invalid("Url has already been taken.")
    now = world.now()
    drain = LogDrain(
        str(uuid4()), token or f"d.{uuid4()}", checked, app.id, None if addon is None else addon.id, now, now
    )
    world.log_drains[drain.id] = drain
    whose = "A log drain" if addon is None else f"The log drain of {addon.name}"
    world.log(f"{whose} was added.", app=app, addon=addon)
    return drain


def move(world: World, drain: LogDrain, url: object) -> None:
    """Let a drain lead elsewhere; what waits goes there, too."""
    checked = _checked(url)
    if checked != drain.url:
        drain.url, drain.updated_at = checked, world.now()
        addon = world.addons.get(drain.addon_id or "")
        world.log("A log drain has another URL.", app=world.apps[drain.app_id], addon=addon)


def remove(world: World, drain: LogDrain, *, by: AddOn | None) -> None:
    """Remove a drain for a customer or for its add-on; the one from the provision ends with the add-on only."""
    owner = world.addons.get(drain.addon_id or "")
    if owner is not None and (by is not owner or drain.token == owner.log_drain_token):
        raise forbidden(f"This log drain belongs to the add-on {owner.name} and ends when that is removed.")
    if owner is None and by is not None:
        raise forbidden("This log drain is a customer's.")
    del world.log_drains[drain.id]
    world.log("A log drain was removed.", app=world.apps[drain.app_id], addon=owner)


def take_from_answer(world: World, addon: AddOn, answer: object) -> None:
    """Make or move the add-on's drain as the `log_drain_url` of its answer says; nonsense was judged before."""
    url = answer.get("log_drain_url") if isinstance(answer, dict) else None
    if addon.log_drain_token is None or not isinstance(url, str) or why_refused(url) is not None:
        return
    known = [drain for drain in drains_of(world, addon) if drain.token == addon.log_drain_token]
    if known:
        move(world, known[0], url)
    else:
        add(world, world.apps[addon.app_id], url, addon=addon, token=addon.log_drain_token)


def follow(world: World, event: Event) -> None:
    """End the drains of an app or an add-on that is gone."""
    if event.action == "destroy" and event.kind in {"addon", "app"}:
        for drain in list(world.log_drains.values()):
            if event.thing.id in {drain.addon_id, drain.app_id}:
                del world.log_drains[drain.id]


def why_refused(url: object) -> str | None:
    """Return why a URL cannot be a drain's, None when it can."""
    nonsense = "Url is invalid: it needs a scheme and a host."
    if not isinstance(url, str) or len(url) > _LONGEST_URL or not url.isprintable() or " " in url:
        return nonsense
    try:
        parts = urlsplit(url)
        is_known = parts.scheme in SCHEMES
        if not parts.hostname or parts.port == 0:
            return nonsense
    except ValueError:
        return nonsense
    return None if is_known else f"Url is invalid: its scheme must be one of {', '.join(SCHEMES)}."


def _checked(url: object) -> str:
    reason = why_refused(url)
    if reason is not None:
        raise invalid(reason)
    return str(url)
