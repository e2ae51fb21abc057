"""Apps: seeing, making, changing and deleting them, and the domain each has from the beginning."""

from typing import Any

from app.simulator import apps
from app.simulator.errors import forbidden, invalid, not_found
from app.simulator.records import App
from app.simulator.shapes import Shape, app_shape, moment, stable_id

from .call import Call, api

_ORDER = ("id", "name", "updated_at")


async def list_apps(call: Call) -> Any:
    return [app_shape(call.world, app, call.url) for app in _visible(call)]


async def list_persons_apps(call: Call) -> Any:
    """List what the caller owns and works on; nobody sees another's list."""
    who = call.path["user"]
    if who != "~" and apps.person(call.world, who) != call.customer:
        raise forbidden("You can only see your own apps.")
    return await list_apps(call)


async def filter_apps(call: Call) -> Any:
    """List those of `{"in": {"id": [...]}}` that the caller may see. https://devcenter.heroku.com/articles/platform-api-reference#filters"""
    wanted = (await call.body()).get("in")
    ids = wanted.get("id") if isinstance(wanted, dict) else None
    if not isinstance(ids, list):
        raise invalid('The body must be {"in": {"id": [...]}}.')
    return [app_shape(call.world, app, call.url) for app in _visible(call) if app.id in ids]


async def get_app(call: Call) -> Any:
    return app_shape(call.world, call.app(), call.url)


async def create_app(call: Call) -> Any:
    """Make an app; `stack`, `feature_flags` and the like are taken and mean nothing here, where no code runs."""
    owner, body = call.customer, await call.body()
    app = apps.create(call.world, owner, name=_text(body, "name"), region=_name_or_id(body.get("region")))
    return app_shape(call.world, app, call.url)


async def update_app(call: Call) -> Any:
    app, customer, body = call.app(), call.customer, await call.body()
    name, maintenance = _text(body, "name"), body.get("maintenance")
    if not isinstance(maintenance, bool | None):
        raise invalid("Maintenance is true or false.")
    if name is not None:
        apps.rename(call.world, app, name, by=customer)
    if maintenance is not None:
        apps.set_maintenance(call.world, app, is_on=maintenance, by=customer)
    return app_shape(call.world, app, call.url)


async def delete_app(call: Call) -> Any:
    app, customer = call.app(), call.customer
    shape = app_shape(call.world, app, call.url)
    await apps.delete(call.world, call.known.calls, app, by=customer)
    return shape


async def list_domains(call: Call) -> Any:
    return [_domain_shape(call.app())]


async def get_domain(call: Call) -> Any:
    domain = _domain_shape(call.app())
    if call.path["domain"] not in {domain["id"], domain["hostname"]}:
        raise not_found("domain")
    return domain


async def list_nothing(call: Call) -> Any:
    """Answer for what an app may have and a simulated one never has: buildpacks, certificates, labs features."""
    call.app()
    return []


def _visible(call: Call) -> list[App]:
    return [app for app in call.world.apps.values() if call.caller.may_see_app(call.world, app)]


def _text(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    if not isinstance(value, str | None):
        raise invalid(f"The {key} must be a string.")
    return value


def _name_or_id(value: Any) -> str | None:
    """Read what some clients send as `{"name": "us"}` and others as `"us"`."""
    found = value.get("name") or value.get("id") if isinstance(value, dict) else value
    return None if found is None else str(found)


def _domain_shape(app: App) -> Shape:
    return {
        "acm_status": None,
        "acm_status_reason": None,
        "app": {"id": app.id, "name": app.name},
        "cname": None,
        "created_at": moment(app.created_at),
        "hostname": f"{app.name}.herokuapp.com",
        "id": stable_id("domain", app.id),
        "kind": "heroku",
        "sni_endpoint": None,
        "status": "none",
        "updated_at": moment(app.created_at),
    }


ROUTES = [
    api("GET", "/apps", list_apps, order=_ORDER),
    api("POST", "/apps", create_app, status=201, is_for_people=True),
    api("POST", "/filters/apps", filter_apps, order=_ORDER),
    api("GET", "/users/{user}/apps", list_persons_apps, order=_ORDER, is_for_people=True),
    api("GET", "/apps/{app}", get_app),
    api("PATCH", "/apps/{app}", update_app, is_for_people=True),
    api("DELETE", "/apps/{app}", delete_app, is_for_people=True),
    api("GET", "/apps/{app}/domains", list_domains, order=("hostname", "id")),
    api("GET", "/apps/{app}/domains/{domain}", get_domain),
    api("GET", "/apps/{app}/features", list_nothing, is_for_people=True),
    api("GET", "/apps/{app}/buildpack-installations", list_nothing, is_for_people=True),
    api("GET", "/apps/{app}/sni-endpoints", list_nothing, is_for_people=True),
]
