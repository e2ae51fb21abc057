"""Which add-on, or which attachment, a customer means by a word: an id, a name, or the name of the service.

This is what Heroku's `resolve` endpoints are for: https://devcenter.heroku.com/articles/platform-api-reference. How
the word is understood is not documented there; it is tried as the command line's users are used to, the most exact
meaning first, and `app::NAME` says on which app.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import HerokuError, not_found
from .records import AddOn, App, Attachment
from .world import World

Found = TypeVar("Found", AddOn, Attachment)


def addons_meant(world: World, ref: str, app: App | None, may_see: Callable[[AddOn], bool]) -> list[AddOn]:
    """List the installed add-ons that `ref` may mean, on that app alone when there is one."""
    attachments = _attachments(world, app, may_see)
    seen = [addon for addon in world.installed() if may_see(addon)]
    if app is not None:
        on_app = {one.addon_id for one in attachments}
        seen = [addon for addon in seen if addon.id in on_app]
    attached = dict.fromkeys(one.addon_id for one in attachments if one.name == ref)
    return (
        [addon for addon in seen if ref in {addon.id, addon.name}]
        or [world.addons[addon_id] for addon_id in attached]
        or (seen if ref == world.offer.slug else [])
    )


def attachments_meant(world: World, ref: str, app: App | None, may_see: Callable[[AddOn], bool]) -> list[Attachment]:
    """List the attachments that `ref` may mean: by their own names, by their add-on's, by the service's."""
    seen = _attachments(world, app, may_see)
    return (
        [one for one in seen if ref in {one.id, one.name}]
        or [one for one in seen if ref in {one.addon_id, world.addons[one.addon_id].name}]
        or (seen if ref == world.offer.slug else [])
    )


def only(found: Sequence[Found], what: str, name_of: Callable[[Found], str]) -> Found:
    """Return the one that was found; 404 for none, 422 `multiple_matches` when it could be several."""
    if not found:
        raise not_found(what)
    if len(found) > 1:
        names = ", ".join(name_of(one) for one in found)
        raise HerokuError(422, "multiple_matches", f"Ambiguous identifier; multiple matching {what}s found: {names}.")
    return found[0]


def _attachments(world: World, app: App | None, may_see: Callable[[AddOn], bool]) -> list[Attachment]:
    found = world.attachments.values() if app is None else world.attachments_on(app)
    return [one for one in found if may_see(world.addons[one.addon_id])]
