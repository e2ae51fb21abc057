"""Attaching an add-on to an app and taking it off again, and what may not be overwritten thereby.

https://devcenter.heroku.com/articles/managing-add-ons tells it for customers. An app sees an add-on's config vars under
the name of the attachment; the partner is not told of attachments, only its webhooks are.
"""

from uuid import uuid4

from .errors import HerokuError, invalid
from .names import ATTACHMENT_NAME, new_attachment_name
from .records import AddOn, App, Attachment
from .world import World


def attach(
    world: World,
    addon: AddOn,
    app: App,
    name: str | None = None,
    *,
    confirm: str | None = None,
    by_email: str | None = None,
) -> Attachment:
    """Attach under `name`, or under one made from the add-on's prefix; a provisioned add-on's values are released.

    Raises what `allowed_name` raises. A confirmed name that another add-on had is taken from it.
    """
    name = allowed_name(world, app, name, addon=addon, confirm=confirm)
    replaced = next((one for one in world.attachments_on(app) if one.name == name), None)
    if replaced is not None:
        detach(world, replaced, by_email=by_email)
    attachment = Attachment(str(uuid4()), name, addon.id, app.id, world.now())
    world.attachments[attachment.id] = attachment
    world.tell("addon-attachment", "create", attachment, app, addon=addon, by_email=by_email)
    if addon.state == "provisioned":
        world.cut_release(app, f"Attach {attachment.name} (@{addon.name})", by_email)
    world.changed()
    return attachment


def allowed_name(
    world: World, app: App, name: str | None, *, addon: AddOn | None = None, confirm: str | None = None
) -> str:
    """Return under which name an add-on, or without `addon` a new one, may be attached to the app.

    What the app has already is overwritten only when `confirm` is the app's name: its own config vars, those of another
    attachment, another add-on's attachment of that name. Raises 423 `confirmation_required` without it, and 422 for a
    name that cannot be.
    """
    on_app = {one.name: one for one in world.attachments_on(app)}
    if name is not None and not ATTACHMENT_NAME.fullmatch(name):
        raise invalid("An attachment's name has only capital letters, digits and underscores, a letter first.")
    name = name or new_attachment_name(world.offer.prefix, on_app)
    replaced = on_app.get(name)
    if replaced is not None:
        if addon is not None and replaced.addon_id == addon.id:
            raise invalid(f"{addon.name} is attached to {app.name} as {name} already.")
        _require_another(world, replaced)
    if confirm != app.name:
        others = [one for one in on_app.values() if one.name != name]
        taken = set(app.config).union(*(_config_names(world, one.name, world.addons[one.addon_id]) for one in others))
        lost = [f"config var {one}" for one in sorted(taken & _config_names(world, name, addon))]
        if replaced is not None:
            lost.insert(0, f"attachment {name} of {world.addons[replaced.addon_id].name}")
        if lost:
            what = addon.name if addon else f"a new {world.offer.slug}"
            message = f"Attaching {what} to {app.name} as {name} would overwrite the {' and the '.join(lost)}."
            raise HerokuError(423, "confirmation_required", message, app={"name": app.name})
    return name


def share(
    world: World,
    addon: AddOn,
    app: App,
    name: str | None = None,
    *,
    confirm: str | None = None,
    by_email: str | None = None,
) -> Attachment:
    """Attach an installed add-on once more, to another app only when the manifest says `attachable`."""
    if app.id != addon.app_id and "attachable" not in world.offer.requires:
        raise invalid(f"{world.offer.name} cannot be attached to other apps: its manifest lacks attachable.")
    return attach(world, addon, app, name, confirm=confirm, by_email=by_email)


def detach(world: World, attachment: Attachment, *, by_email: str | None = None) -> None:
    """Take the add-on off the app; 422 when it is the owning app's only attachment."""
    _require_another(world, attachment)
    addon, app = world.addons[attachment.addon_id], world.apps[attachment.app_id]
    world.tell("addon-attachment", "destroy", attachment, app, addon=addon, by_email=by_email)
    del world.attachments[attachment.id]
    if addon.state == "provisioned":
        world.cut_release(app, f"Detach {attachment.name} (@{addon.name})", by_email)
    world.changed()


def _config_names(world: World, attachment_name: str, addon: AddOn | None) -> set[str]:
    """Return the config vars an attachment gives its app, or will give once the add-on is provisioned."""
    names = addon.config if addon is not None and addon.state == "provisioned" else world.offer.config_vars
    return {world.offer.config_name(attachment_name, name) for name in names}


def _require_another(world: World, attachment: Attachment) -> None:
    addon, app = world.addons[attachment.addon_id], world.apps[attachment.app_id]
    on_app = [one for one in world.attachments_of(addon) if one.app_id == app.id]
    if app.id == addon.app_id and len(on_app) == 1:
        raise invalid(
            f"{attachment.name} is the only attachment of {addon.name} on {app.name}, which owns it: "
            "attach it under another name first, or remove the add-on."
        )
