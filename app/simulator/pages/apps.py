"""The pages of a customer's apps: all of them, and one with its add-ons, config vars, dynos and releases."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.simulator import app_config, attaching, releases
from app.simulator.parts import parts
from app.simulator.records import AddOn, App
from app.simulator.tool_environment import environment_lines
from app.simulator.world import World

from .rendering import form, page, render

_SHOWN_RELEASES = 10
_SHOWN_ACTIVITY = 15


@dataclass(frozen=True)
class ConfigVar:
    """A config var as the app sees it; without `addon` it is the app's own."""

    name: str
    value: str = field(repr=False)
    addon: AddOn | None


def app_of(request: Request) -> App:
    return parts(request).world.app(request.path_params["app"])


def app_path(app: App) -> str:
    return f"/marketplace/apps/{app.name}"


async def show_start(request: Request) -> Response:  # noqa: ARG001 - Starlette passes it
    return RedirectResponse("/marketplace", 302)


async def show_apps(request: Request) -> Response:
    known = parts(request)
    person = next(iter(known.world.customers.values()))
    environment = environment_lines(known.url, person.api_key)
    return render(request, "apps.html", url=known.url, person=person, environment=environment)


async def show_app(request: Request) -> Response:
    world, app = parts(request).world, app_of(request)
    attached = {one.addon_id for one in world.attachments_on(app)}
    latest = app.releases[: -_SHOWN_RELEASES - 1 : -1]
    return render(
        request,
        "app.html",
        app=app,
        config_vars=_config_vars(world, app),
        monthly_cents=_monthly_cents(world, app),
        attachable=[one for one in world.installed() if one.id not in attached],
        dynos=sorted(app.dynos, key=lambda dyno: dyno.name),
        releases=latest,
        can_roll_back={one.id for one in latest[1:]},
        activity=[line for line in world.activity if line.app_id == app.id][: -_SHOWN_ACTIVITY - 1 : -1],
    )


def _config_vars(world: World, app: App) -> list[ConfigVar]:
    given = {
        world.config_name(attachment, name): addon
        for attachment in world.attachments_on(app)
        if (addon := world.addons[attachment.addon_id]).state == "provisioned"
        for name in addon.config
    }
    return [ConfigVar(name, value, given.get(name)) for name, value in sorted(world.config_vars(app).items())]


def _monthly_cents(world: World, app: App) -> int | None:
    """Add up what the app's owner pays for add-ons; None when there is nothing to pay for, or no price list."""
    plans = [world.offer.plan(addon.plan) for addon in world.installed() if addon.app_id == app.id]
    return sum(plan.price_cents for plan in plans if plan) if plans and world.offer.plans else None


async def create_app(request: Request, fields: Mapping[str, str]) -> str:
    region = fields.get("region") or parts(request).offer.app_regions[0]
    return app_path(parts(request).world.create_app(fields.get("name", "").strip(), region=region))


async def change_config_vars(request: Request, fields: Mapping[str, str]) -> str:
    """Set the config var that was typed, or unset the one whose button was pressed, as the app's owner."""
    world, app = parts(request).world, app_of(request)
    changes = (
        {fields["unset"]: None} if "unset" in fields else {fields.get("name", "").strip(): fields.get("value", "")}
    )
    app_config.change(world, app, changes, by_email=world.customers[app.owner_id].email)
    return app_path(app)


async def roll_back(request: Request, fields: Mapping[str, str]) -> str:
    world, app = parts(request).world, app_of(request)
    releases.roll_back(world, app, fields.get("release", ""), by_email=world.customers[app.owner_id].email)
    return app_path(app)


async def attach(request: Request, fields: Mapping[str, str]) -> str:
    world, app = parts(request).world, app_of(request)
    attaching.share(world, world.addon(fields.get("addon", "")), app, fields.get("name", "").strip() or None)
    return app_path(app)


def routes() -> list[Route]:
    one_app = "/marketplace/apps/{app}"
    return [
        Route("/", show_start),
        Route("/marketplace", page(show_apps)),
        Route("/marketplace/apps", form(create_app), methods=["POST"]),
        Route(one_app, page(show_app)),
        Route(f"{one_app}/config-vars", form(change_config_vars), methods=["POST"]),
        Route(f"{one_app}/rollback", form(roll_back), methods=["POST"]),
        Route(f"{one_app}/attach", form(attach), methods=["POST"]),
    ]
