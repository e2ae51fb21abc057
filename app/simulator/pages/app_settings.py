"""The page with what changes an app itself: its name, its people, its dynos, its end."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator import apps, dynos
from app.simulator.errors import HerokuError
from app.simulator.parts import parts
from app.simulator.records import Customer

from .apps import app_of, app_path
from .rendering import form, page, render


def _owner(request: Request) -> Customer:
    """Return in whose name this page acts."""
    return parts(request).world.customers[app_of(request).owner_id]


def _settings_path(request: Request) -> str:
    return f"{app_path(app_of(request))}/settings"


async def show_settings(request: Request) -> Response:
    world, app = parts(request).world, app_of(request)
    people = world.people_of(app)
    strangers = [one for one in world.customers.values() if one not in people]
    return render(request, "app_settings.html", app=app, people=people, strangers=strangers)


async def rename(request: Request, fields: Mapping[str, str]) -> str:
    app, owner = app_of(request), _owner(request)
    apps.rename(parts(request).world, app, fields.get("name", "").strip(), by=owner)
    return f"{app_path(app)}/settings"


async def set_maintenance(request: Request, fields: Mapping[str, str]) -> str:
    is_on = fields.get("maintenance") == "on"
    apps.set_maintenance(parts(request).world, app_of(request), is_on=is_on, by=_owner(request))
    return _settings_path(request)


async def change_people(request: Request, fields: Mapping[str, str]) -> str:
    world, app = parts(request).world, app_of(request)
    if "remove" in fields:
        apps.remove_collaborator(world, app, apps.person(world, fields["remove"]), by=_owner(request))
    else:
        apps.add_collaborator(world, app, apps.person(world, fields.get("add", "")), by=_owner(request))
    return _settings_path(request)


async def scale(request: Request, fields: Mapping[str, str]) -> str:
    world, app = parts(request).world, app_of(request)
    order = (dynos.process(app, fields.get("type", "")), fields.get("quantity", ""), None)
    dynos.scale(world, app, [order], by_email=_owner(request).email)
    return app_path(app)


async def restart(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    app = app_of(request)
    dynos.restart(parts(request).world, app, list(app.dynos))
    return app_path(app)


async def delete(request: Request, fields: Mapping[str, str]) -> str:
    known, app = parts(request), app_of(request)
    if fields.get("confirm", "").strip() != app.name:
        raise HerokuError(423, "confirmation_required", f"To delete the app, type its name: {app.name}.")
    await apps.delete(known.world, known.calls, app, by=_owner(request))
    return "/marketplace"


def routes() -> list[Route]:
    one_app = "/marketplace/apps/{app}"
    return [
        Route(f"{one_app}/settings", page(show_settings)),
        Route(f"{one_app}/rename", form(rename), methods=["POST"]),
        Route(f"{one_app}/maintenance", form(set_maintenance), methods=["POST"]),
        Route(f"{one_app}/people", form(change_people), methods=["POST"]),
        Route(f"{one_app}/scale", form(scale), methods=["POST"]),
        Route(f"{one_app}/restart", form(restart), methods=["POST"]),
        Route(f"{one_app}/delete", form(delete), methods=["POST"]),
    ]
