"""An app's releases: finding one, and going back to one.

https://devcenter.heroku.com/articles/releases#rollback: a rollback is a new release with the code and the app's own
config vars of an old one, while what the add-ons give stays as it is now. A release can be gone back to when it
succeeded and has code; here each does, for every app began with a sample deployed.
"""

from .errors import invalid, not_found
from .records import App, Release
from .world import World


def find(app: App, ref: object) -> Release:
    """Find a release by id, by version (`11`, `"11"`) or by its name (`"v11"`)."""
    text = str(ref).strip().lower()
    number = text.removeprefix("v")
    found = next((one for one in app.releases if one.id == text or str(one.version) == number), None)
    if found is None:
        raise not_found("release")
    return found


def roll_back(world: World, app: App, ref: object, *, by_email: str) -> Release:
    """Release the app as it was; going back to what is running is refused."""
    target = find(app, ref)
    if target is app.releases[-1]:
        raise invalid(f"Cannot roll back to v{target.version}: it is the current release.")
    attached = world.addon_config_vars(app)
    app.config = {name: value for name, value in target.config.items() if name not in attached}
    app.updated_at = world.now()
    return world.cut_release(app, f"Rollback to v{target.version}", by_email)


def config_of(release: Release) -> dict[str, str]:
    """Return what the app's dynos saw with this release."""
    return release.config | release.addon_config
