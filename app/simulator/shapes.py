"""Heroku's JSON for its things, as https://devcenter.heroku.com/articles/platform-api-reference lists them."""

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from .catalogue import STACKS
from .logs.records import LogDrain
from .logs.tokens import input_url
from .offer import Offer, Plan
from .records import AddOn, App, Attachment, Customer, Release
from .world import World

Shape = dict[str, Any]
# A manifest and a price list have no dates: the service and its plans are as old as this everywhere.
_ON_SALE_AT = datetime(2024, 1, 1, tzinfo=UTC)


def moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def stable_id(*names: str) -> str:
    """Make the same id for the same name every time; regions, stacks and plans have no record of their own."""
    return str(uuid5(NAMESPACE_DNS, ".".join(names)))


def _short(thing: App | AddOn) -> Shape:
    return {"id": thing.id, "name": thing.name}


def _brief(shape: Shape) -> Shape:
    return {"id": shape["id"], "name": shape["name"]}


def service_shape(offer: Offer) -> Shape:
    return {
        "cli_plugin_name": None,
        "created_at": moment(_ON_SALE_AT),
        "human_name": offer.name,
        "id": stable_id(offer.slug),
        "name": offer.slug,
        "state": "ga",
        "supported_generations": [{"id": stable_id("cedar"), "name": "cedar"}],
        "supports_multiple_installations": "many_per_app" in offer.requires,
        "supports_sharing": "attachable" in offer.requires,
        "updated_at": moment(_ON_SALE_AT),
    }


def plan_shape(offer: Offer, plan: Plan) -> Shape:
    return {
        "addon_service": {"id": stable_id(offer.slug), "name": offer.slug},
        "compliance": None,
        "created_at": moment(_ON_SALE_AT),
        "default": plan == offer.default_plan,
        "description": f"{offer.name} {plan.human_name}",
        "human_name": plan.human_name,
        "id": stable_id(offer.slug, plan.name),
        "installable_inside_private_network": False,
        "installable_outside_private_network": True,
        "name": f"{offer.slug}:{plan.name}",
        "price": price_shape(plan),
        "space_default": False,
        "state": "public",
        "updated_at": moment(_ON_SALE_AT),
        "visible": True,
    }


def price_shape(plan: Plan) -> Shape:
    return {"cents": plan.price_cents, "contract": False, "unit": "month"}


def addon_shape(world: World, addon: AddOn, url: str, expand: frozenset[str] = frozenset()) -> Shape:
    """Describe an add-on; `expand` names what Accept-Expansion asked for: `plan`, `addon_service`.

    `config_vars` are the names that the owning app sees. What the partner said at the last change is always there as
    `provision_message`, also to clients that do not ask for it by `X-Heroku-Legacy-Provider-Messages`.
    """
    offer, app = world.offer, world.apps[addon.app_id]
    plan = offer.plan(addon.plan) or Plan(addon.plan, addon.plan, 0)
    service, full_plan = service_shape(offer), plan_shape(offer, plan)
    attachments = [one for one in world.attachments_of(addon) if one.app_id == addon.app_id]
    names = {world.config_name(one, name) for one in attachments for name in addon.config}
    shape = {
        "actions": [],
        "addon_service": service if "addon_service" in expand else _brief(service),
        "app": _short(app),
        "billed_price": price_shape(plan),
        "billing_entity": {**_short(app), "type": "app"},
        "config_vars": sorted(names),
        "created_at": moment(addon.created_at),
        "id": addon.id,
        "name": addon.name,
        "plan": full_plan if "plan" in expand else _brief(full_plan),
        "provider_id": addon.provider_id or addon.id,
        "state": addon.state,
        "updated_at": moment(addon.updated_at),
        "web_url": None if addon.state == "deprovisioned" else f"{url}/sso/apps/{app.id}/addons/{addon.id}",
    }
    return shape if addon.provision_message is None else {**shape, "provision_message": addon.provision_message}


def attachment_shape(world: World, attachment: Attachment, url: str, include: frozenset[str] = frozenset()) -> Shape:
    """Describe an attachment; `include` names what Accept-Inclusion asked for: `addon:plan`, `config_vars`."""
    addon = world.addons[attachment.addon_id]
    shape: Shape = {
        "addon": {**_short(addon), "app": _short(world.apps[addon.app_id])},
        "app": _short(world.apps[attachment.app_id]),
        "created_at": moment(attachment.created_at),
        "id": attachment.id,
        "log_input_url": input_url(addon, attachment.app_id, url),
        "name": attachment.name,
        "namespace": None,
        "updated_at": moment(attachment.created_at),
        "web_url": f"{url}/sso/apps/{attachment.app_id}/addons/{addon.id}",
    }
    if "addon:plan" in include:
        plan = world.offer.plan(addon.plan) or Plan(addon.plan, addon.plan, 0)
        shape["addon"]["plan"] = _brief(plan_shape(world.offer, plan))
    if "config_vars" in include:
        shape["config_vars"] = sorted(world.config_name(attachment, name) for name in addon.config)
    return shape


def log_drain_shape(world: World, drain: LogDrain) -> Shape:
    addon = world.addons.get(drain.addon_id or "")
    return {
        "addon": None if addon is None else {**_short(addon), "app": _short(world.apps[addon.app_id])},
        "app": _short(world.apps[drain.app_id]),
        "created_at": moment(drain.created_at),
        "id": drain.id,
        "token": drain.token,
        "updated_at": moment(drain.updated_at),
        "url": drain.url,
    }


def app_shape(world: World, app: App, url: str) -> Shape:
    owner = world.customers[app.owner_id]
    stack = {"id": stable_id(STACKS[0]), "name": STACKS[0]}
    return {
        "acm": False,
        "archived_at": None,
        "build_stack": stack,
        "buildpack_provided_description": None,
        "created_at": moment(app.created_at),
        "generation": {"id": stable_id("cedar"), "name": "cedar"},
        "git_url": f"https://git.heroku.com/{app.name}.git",
        "id": app.id,
        "internal_routing": None,
        "maintenance": app.is_in_maintenance,
        "name": app.name,
        "organization": None,
        "owner": {"email": owner.email, "id": owner.id},
        "region": {"id": stable_id(app.region), "name": app.region},
        "released_at": moment(app.releases[-1].created_at) if app.releases else None,
        "repo_size": 0,
        "slug_size": 0,
        "space": None,
        "stack": stack,
        "team": None,
        "updated_at": moment(app.updated_at),
        "web_url": f"{url}/marketplace/apps/{app.name}",
    }


def release_shape(app: App, release: Release) -> Shape:
    return {
        "addon_plan_names": release.addon_plan_names,
        "app": _short(app),
        "artifacts": [],
        "created_at": moment(release.created_at),
        "current": release.version == len(app.releases),
        "description": release.description,
        "eligible_for_rollback": True,
        "id": release.id,
        "output_stream_url": None,
        "slug": {"id": stable_id("slug", app.id)},
        "status": "succeeded",
        "updated_at": moment(release.created_at),
        "user": {"email": release.user_email, "id": stable_id(release.user_email)},
        "version": release.version,
    }


def collaborator_shape(app: App, customer: Customer) -> Shape:
    role = "owner" if customer.id == app.owner_id else "collaborator"
    names = ("deploy", "manage", "operate", "view") if role == "owner" else ("deploy", "operate", "view")
    return {
        "app": _short(app),
        "created_at": moment(app.created_at),
        "id": stable_id(app.id, customer.id),
        "permissions": [{"name": name, "description": f"May {name} the app."} for name in names],
        "role": role,
        "updated_at": moment(app.created_at),
        "user": {"email": customer.email, "federated": False, "id": customer.id},
    }
