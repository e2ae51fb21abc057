"""An add-on's way into the logs of the apps it is attached to: for each app a token, which is in a URL.

https://devcenter.heroku.com/articles/writing-to-application-logs-as-a-partner: the URL differs from app to app and has
its own credentials. An app's URL is the `log_input_url` of the attachment; the owning app's is sent with the provision.
"""

import hmac
from urllib.parse import urlsplit
from uuid import uuid4

from app.simulator.records import AddOn, App
from app.simulator.world import Event, World


def follow(world: World, event: Event) -> None:
    """Give an add-on that may write logs a token for each app it gets attached to."""
    is_attached = event.kind == "addon-attachment" and event.action == "create"
    if is_attached and event.addon is not None and "log_input" in world.offer.requires:
        for app in event.apps:
            event.addon.log_input_tokens.setdefault(app.id, f"t.{uuid4()}")


def input_url(addon: AddOn, app_id: str, url: str) -> str | None:
    """Return where the add-on writes into that app's log, at the simulator's own `url`; None when it may not."""
    token, parts = addon.log_input_tokens.get(app_id), urlsplit(url)
    return None if token is None else f"{parts.scheme}://token:{token}@{parts.netloc}/logs"


def writer_with(world: World, token: str) -> tuple[AddOn, App] | None:
    """Find who may write where with a token; one whose add-on was removed, or detached from the app, opens nothing."""
    given = token.encode()
    for addon in world.installed():
        for app in world.apps_of(addon):
            known = addon.log_input_tokens.get(app.id)
            if known is not None and hmac.compare_digest(known.encode(), given):
                return addon, app
    return None
