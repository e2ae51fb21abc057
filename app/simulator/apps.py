"""What people do with their apps: make them, rename them, share them, put them away.

What a collaborator may not do is listed at https://devcenter.heroku.com/articles/collaborating.
"""

import asyncio

from .calls import Calls
from .catalogue import REGIONS
from .errors import forbidden, invalid, not_found
from .names import new_app_name
from .records import AddOn, App, Customer
from .world import World


def create(world: World, owner: Customer, *, name: str | None, region: str | None) -> App:
    """Make an app of `owner`, under a made-up name when none is given."""
    chosen = region or "us"
    if chosen not in {one.name for one in REGIONS if one.is_common} | set(world.offer.app_regions):
        raise not_found("region")
    return world.create_app(name or new_app_name({app.name for app in world.apps.values()}), region=chosen, owner=owner)


def rename(world: World, app: App, name: str, *, by: Customer) -> None:
    if name == app.name:
        return
    _require_owner(app, by, "rename")
    world.check_app_name(name)
    old_name, app.name, app.updated_at = app.name, name, world.now()
    world.tell("app", "update", app, app, by_email=by.email)
    world.log(f"{old_name} was renamed to {name}.", app=app)


def set_maintenance(world: World, app: App, *, is_on: bool, by: Customer) -> None:
    if is_on == app.is_in_maintenance:
        return
    app.is_in_maintenance, app.updated_at = is_on, world.now()
    world.tell("app", "update", app, app, by_email=by.email)
    world.log(f"Maintenance mode is {'on' if is_on else 'off'}.", app=app)


async def delete(world: World, calls: Calls, app: App, *, by: Customer) -> None:
    """Delete the app: its own add-ons are deprovisioned, of others it loses its attachments."""
    _require_owner(app, by, "delete")
    while owned := [addon for addon in world.installed() if addon.app_id == app.id]:
        await asyncio.gather(*(_remove(calls, addon, by) for addon in owned))
    if app.id not in world.apps:  # deleted by another call while the add-ons were told
        return
    for attachment in world.attachments_on(app):
        addon = world.addons[attachment.addon_id]
        world.tell("addon-attachment", "destroy", attachment, app, addon=addon, by_email=by.email)
        del world.attachments[attachment.id]
    world.tell("app", "destroy", app, app, by_email=by.email)
    del world.apps[app.id]
    world.log(f"{app.name} was deleted by {by.email}.")


async def _remove(calls: Calls, addon: AddOn, by: Customer) -> None:
    """Remove one of the app's add-ons, unless another call did so a moment ago."""
    if addon.state != "deprovisioned":
        await calls.deprovision(addon, by_email=by.email)


def person(world: World, ref: object) -> Customer:
    """Find a person by e-mail address or id; nobody else exists in this world."""
    text = str(ref).strip().lower()
    found = next((one for one in world.customers.values() if text in {one.id, one.email.lower()}), None)
    if found is None:
        raise not_found("user")
    return found


def add_collaborator(world: World, app: App, person: Customer, *, by: Customer) -> None:
    if person in world.people_of(app):
        raise invalid(f"{person.email} is already a collaborator on {app.name}.")
    app.collaborator_ids.append(person.id)
    app.updated_at = world.now()
    world.tell("collaborator", "create", person, app, by_email=by.email)
    world.log(f"{person.email} may now work on {app.name}.", app=app)


def remove_collaborator(world: World, app: App, person: Customer, *, by: Customer) -> None:
    if person.id == app.owner_id:
        raise invalid(f"{person.email} owns {app.name} and cannot be removed from it.")
    world.tell("collaborator", "destroy", person, app, by_email=by.email)
    app.collaborator_ids.remove(person.id)
    app.updated_at = world.now()
    world.log(f"{person.email} may no longer work on {app.name}.", app=app)


def _require_owner(app: App, who: Customer, doing: str) -> None:
    if who.id != app.owner_id:
        raise forbidden(f"Only the owner of {app.name} may {doing} it.")
