"""The platform API: what add-ons, and people's tools, ask Heroku.

https://devcenter.heroku.com/articles/platform-api-reference and
https://devcenter.heroku.com/articles/platform-api-for-partners. A resource's token opens that one resource and the
apps it is attached to; a customer's API key opens what the customer may see.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import shapes
from .callers import Caller, find_caller, own_addon, visible_addon, visible_app
from .endpoints import Endpoint, recorded
from .errors import HerokuError, forbidden, invalid
from .forms import read_json
from .parts import Parts, parts
from .verdicts import hint, on_config_values, problem, refused_config

Handler = Callable[[Request, Parts, Caller], Awaitable[Any]]


def _endpoint(handler: Handler) -> Endpoint:
    """Know the caller, count the call, answer JSON."""

    async def answer(request: Request) -> Response:
        findings = request.state.findings
        if "version=3" not in request.headers.get("accept", ""):
            findings.append(hint("The Accept header should be application/vnd.heroku+json; version=3."))
        caller = find_caller(request)
        # All tokens of an add-on belong to one pseudo-user, hence one bucket.
        who = caller.customer.id if caller.customer else "add-on"
        left = parts(request).rate_limit.spend(who, parts(request).world.now())
        headers = {"RateLimit-Remaining": str(left)}
        try:
            result = await handler(request, parts(request), caller)
        except HerokuError as error:
            findings.append(problem(f"Answered {error.status}: {error.message}"))
            raise
        if isinstance(result, list):
            ids = [item["id"] for item in result if "id" in item]
            headers["Content-Range"] = f"id {ids[0]}..{ids[-1]}; max=200" if ids else "id ..; max=200"
        return JSONResponse(result, headers=headers)

    return recorded("platform", answer)


def _expansion(request: Request) -> frozenset[str]:
    return frozenset(part.strip() for part in request.headers.get("accept-expansion", "").split(","))


async def list_addons(request: Request, known: Parts, caller: Caller) -> Any:
    expand = _expansion(request)
    found = [addon for addon in known.world.installed() if caller.may_see_addon(known.world, addon)]
    return [shapes.addon_shape(known.world, addon, known.url, expand) for addon in found]


async def get_addon(request: Request, known: Parts, caller: Caller) -> Any:
    return shapes.addon_shape(known.world, visible_addon(request, caller), known.url, _expansion(request))


async def get_addon_config(request: Request, known: Parts, caller: Caller) -> Any:  # noqa: ARG001 - all handlers alike
    return _config_list(visible_addon(request, caller).config)


async def set_addon_config(request: Request, known: Parts, caller: Caller) -> Any:
    """Change config vars by their names in the manifest; null removes one, what is not named stays."""
    addon = own_addon(request, caller)
    changes = _config_changes(await read_json(request))
    reasons = refused_config(known.offer, {name: value for name, value in changes.items() if value is not None})
    reasons += [f"The config var {name} is not declared in the manifest." for name in _undeclared_nulls(known, changes)]
    if reasons:
        raise invalid(" ".join(reasons))
    request.state.findings += on_config_values(known.offer, changes)
    known.world.set_config(addon, changes, by_email=known.calls.partner_email)
    return _config_list(addon.config)


def _undeclared_nulls(known: Parts, changes: dict[str, str | None]) -> list[str]:
    return [name for name, value in changes.items() if value is None and name not in known.offer.config_vars]


def _config_changes(body: dict[str, Any]) -> dict[str, str | None]:
    config = body.get("config")
    if not isinstance(config, list):
        raise invalid('The body must be {"config": [{"name": ..., "value": ...}]}.')
    changes: dict[str, str | None] = {}
    for item in config:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or "value" not in item:
            raise invalid("Every config var needs a name and a value.")
        if not isinstance(item["value"], str | None):
            raise invalid(f"The config var {item['name']} has a value that is not a string.")
        changes[item["name"]] = item["value"]
    return changes


def _config_list(config: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(config.items())]


async def finish_provisioning(request: Request, known: Parts, caller: Caller) -> Any:
    addon = own_addon(request, caller)
    if addon.state == "provisioned":
        request.state.findings.append(hint("The add-on was provisioned already."))
    known.world.mark_provisioned(addon)
    return shapes.addon_shape(known.world, addon, known.url)


async def give_up_provisioning(request: Request, known: Parts, caller: Caller) -> Any:
    """Let the partner say that an add-on will not come to be; its token dies with this call."""
    addon = own_addon(request, caller)
    if addon.state != "provisioning":
        raise invalid("Only an add-on that is still being provisioned can be marked as deprovisioned.")
    known.world.remove(addon, "the add-on's partner could not create it.")
    return shapes.addon_shape(known.world, addon, known.url)


async def list_addon_attachments(request: Request, known: Parts, caller: Caller) -> Any:
    found = known.world.attachments_of(visible_addon(request, caller))
    return [shapes.attachment_shape(known.world, one, known.url) for one in found]


async def list_attachments(request: Request, known: Parts, caller: Caller) -> Any:  # noqa: ARG001 - all handlers alike
    world = known.world
    found = [one for one in world.attachments.values() if caller.may_see_addon(world, world.addons[one.addon_id])]
    return [shapes.attachment_shape(world, one, known.url) for one in found]


async def list_apps(request: Request, known: Parts, caller: Caller) -> Any:  # noqa: ARG001 - all handlers alike
    found = [app for app in known.world.apps.values() if caller.may_see_app(known.world, app)]
    return [shapes.app_shape(known.world, app, known.url) for app in found]


async def get_app(request: Request, known: Parts, caller: Caller) -> Any:
    return shapes.app_shape(known.world, visible_app(request, caller), known.url)


async def list_app_addons(request: Request, known: Parts, caller: Caller) -> Any:
    app, world, expand = visible_app(request, caller), known.world, _expansion(request)
    found = [one for one in world.installed() if one.app_id == app.id and caller.may_see_addon(world, one)]
    return [shapes.addon_shape(world, addon, known.url, expand) for addon in found]


async def list_app_attachments(request: Request, known: Parts, caller: Caller) -> Any:
    app, world = visible_app(request, caller), known.world
    found = [one for one in world.attachments_on(app) if caller.may_see_addon(world, world.addons[one.addon_id])]
    return [shapes.attachment_shape(world, one, known.url) for one in found]


async def list_app_collaborators(request: Request, known: Parts, caller: Caller) -> Any:
    app = visible_app(request, caller)
    return [shapes.collaborator_shape(app, customer) for customer in known.world.people_of(app)]


async def list_app_releases(request: Request, known: Parts, caller: Caller) -> Any:  # noqa: ARG001 - all handlers alike
    app = visible_app(request, caller)
    return [shapes.release_shape(app, release) for release in app.releases]


async def get_app_config_vars(request: Request, known: Parts, caller: Caller) -> Any:
    """Return every config var of the app: a customer's business, so an add-on's token is refused."""
    app = visible_app(request, caller)
    if caller.customer is None:
        raise forbidden("An add-on may read its own config vars, not the app's.")
    return known.world.config_vars(app)


async def no_such_endpoint(request: Request, known: Parts, caller: Caller) -> Any:  # noqa: ARG001 - all handlers alike
    raise HerokuError(404, "not_found", f"The simulator has no endpoint {request.method} {request.url.path}.")


def routes() -> list[Route]:
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/addons", list_addons),
        ("GET", "/addons/{addon}", get_addon),
        ("GET", "/addons/{addon}/config", get_addon_config),
        ("PATCH", "/addons/{addon}/config", set_addon_config),
        ("POST", "/addons/{addon}/actions/provision", finish_provisioning),
        ("POST", "/addons/{addon}/actions/deprovision", give_up_provisioning),
        ("GET", "/addons/{addon}/addon-attachments", list_addon_attachments),
        ("GET", "/addon-attachments", list_attachments),
        ("GET", "/apps", list_apps),
        ("GET", "/apps/{app}", get_app),
        ("GET", "/apps/{app}/addons", list_app_addons),
        ("GET", "/apps/{app}/addons/{addon}", get_addon),
        ("GET", "/apps/{app}/addon-attachments", list_app_attachments),
        ("GET", "/apps/{app}/collaborators", list_app_collaborators),
        ("GET", "/apps/{app}/releases", list_app_releases),
        ("GET", "/apps/{app}/config-vars", get_app_config_vars),
    ]
    found = [Route(path, _endpoint(handler), methods=[method]) for method, path, handler in table]
    # An add-on that asks for what is not here should find its call, and the reason, among the exchanges.
    rest = [
        Route(
            f"/{start}{{rest:path}}",
            _endpoint(no_such_endpoint),
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        )
        for start in ("addons", "apps", "addon-attachments")
    ]
    return [*found, *rest]
