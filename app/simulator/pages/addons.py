"""The pages of one add-on: installing it, changing its plan, attaching it, removing it."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.simulator import attaching
from app.simulator.errors import HerokuError, invalid
from app.simulator.forms import read_form
from app.simulator.parts import parts
from app.simulator.records import AddOn, App
from app.simulator.troubles import expire_access_tokens

from .apps import app_of, app_path
from .progress import steps
from .rendering import ask_again, form, is_question, latest_first, page, render

_SHOWN_EXCHANGES = 8


def _addon(request: Request) -> AddOn:
    return parts(request).world.addon(request.path_params["addon"])


def _addon_path(app: App, addon: AddOn) -> str:
    return f"{app_path(app)}/addons/{addon.name}"


async def show_install(request: Request) -> Response:
    typed = {"plan": request.query_params.get("plan", "")}
    return render(request, "install.html", app=app_of(request), error=None, typed=typed)


async def show_addon(request: Request) -> Response:
    world, app, addon = parts(request).world, app_of(request), _addon(request)
    exchanges = latest_first(one for one in world.exchanges if one.addon_id == addon.id)
    tokens = [token for token in world.access_tokens.values() if token.addon_id == addon.id]
    attached = {one.app_id for one in world.attachments_of(addon)}
    return render(
        request,
        "addon.html",
        app=app,
        addon=addon,
        owner=world.apps[addon.app_id],
        price=parts(request).offer.plan(addon.plan),
        other_apps=[one for one in world.apps.values() if one.id not in attached],
        token=max(tokens, key=lambda token: token.expires_at, default=None),
        steps=steps(world, addon),
        exchanges=exchanges[:_SHOWN_EXCHANGES],
    )


async def install(request: Request) -> Response:
    """Install from the form; a refusal is shown on the form, with what was typed still in it."""
    typed, app = await read_form(request), app_of(request)
    try:
        addon = await parts(request).calls.provision(
            app.id,
            typed.get("plan", ""),
            name=typed.get("name", "").strip() or None,
            attachment=typed.get("attachment", "").strip() or None,
            options=read_options(typed.get("options", "")),
            confirm=typed.get("confirm"),
        )
    except HerokuError as error:
        if is_question(error):
            return ask_again(request, error, typed)
        return render(request, "install.html", status=error.status, app=app, error=error, typed=typed)
    # It may have been removed while it was being made.
    return RedirectResponse(app_path(app) if addon.state == "deprovisioned" else _addon_path(app, addon), 303)


def read_options(text: str) -> dict[str, str | bool]:
    """Read `name=value` lines; a bare name is a switch, sent as `true` like the command line's `--name`."""
    options: dict[str, str | bool] = {}
    for line in text.splitlines():
        name, has_value, value = line.strip().removeprefix("--").partition("=")
        if name:
            options[name.strip()] = value.strip() if has_value else True
    return options


async def change_plan(request: Request, fields: Mapping[str, str]) -> str:
    addon = await parts(request).calls.change_plan(_addon(request), fields.get("plan", ""))
    return _addon_path(app_of(request), addon)


async def remove(request: Request, fields: Mapping[str, str]) -> str:
    addon = _addon(request)
    app = parts(request).world.apps[addon.app_id]
    if fields.get("confirm", "").strip() != app.name:
        raise HerokuError(423, "confirmation_required", f"To remove {addon.name}, type the app's name: {app.name}.")
    await parts(request).calls.deprovision(addon)
    return app_path(app)


async def attach(request: Request, fields: Mapping[str, str]) -> str:
    world, addon = parts(request).world, _addon(request)
    app, name = world.app(fields.get("app", "")), fields.get("name", "").strip() or None
    attaching.share(world, addon, app, name, confirm=fields.get("confirm"))
    return _addon_path(app_of(request), addon)


async def detach(request: Request, fields: Mapping[str, str]) -> str:
    world, addon, app = parts(request).world, _addon(request), app_of(request)
    found = [one for one in world.attachments_of(addon) if one.id == fields.get("attachment")]
    if not found:
        raise invalid("There is no such attachment.")
    attaching.detach(world, found[0])
    return app_path(app) if fields.get("back") == app_path(app) else _addon_path(app, addon)


async def rename(request: Request, fields: Mapping[str, str]) -> str:
    addon = _addon(request)
    parts(request).world.rename_addon(addon, fields.get("name", "").strip())
    return _addon_path(app_of(request), addon)


async def end_tokens(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    addon = _addon(request)
    expire_access_tokens(parts(request).world, addon)
    return _addon_path(app_of(request), addon)


def routes() -> list[Route]:
    one_app, one_addon = "/marketplace/apps/{app}", "/marketplace/apps/{app}/addons/{addon}"
    return [
        Route(f"{one_app}/install", page(show_install)),
        Route(f"{one_app}/addons", page(install), methods=["POST"]),
        Route(one_addon, page(show_addon)),
        Route(f"{one_addon}/plan", form(change_plan), methods=["POST"]),
        Route(f"{one_addon}/remove", form(remove), methods=["POST"]),
        Route(f"{one_addon}/attach", form(attach), methods=["POST"]),
        Route(f"{one_addon}/detach", form(detach), methods=["POST"]),
        Route(f"{one_addon}/rename", form(rename), methods=["POST"]),
        Route(f"{one_addon}/end-tokens", form(end_tokens), methods=["POST"]),
    ]
