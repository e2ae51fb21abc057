"""Who works on an app."""

from typing import Any

from app.simulator import apps
from app.simulator.errors import not_found
from app.simulator.records import App, Customer
from app.simulator.shapes import collaborator_shape

from .call import Call, api


async def list_collaborators(call: Call) -> Any:
    app = call.app()
    return [collaborator_shape(app, person) for person in call.world.people_of(app)]


async def get_collaborator(call: Call) -> Any:
    app = call.app()
    return collaborator_shape(app, _collaborator(call, app))


async def add_collaborator(call: Call) -> Any:
    """Add `{"user": e-mail address or id}`, or the same inside an object; nobody is written to."""
    app, customer, body = call.app(), call.customer, await call.body()
    user = body.get("user")
    who = apps.person(call.world, (user.get("email") or user.get("id")) if isinstance(user, dict) else user)
    apps.add_collaborator(call.world, app, who, by=customer)
    return collaborator_shape(app, who)


async def remove_collaborator(call: Call) -> Any:
    app, customer = call.app(), call.customer
    who = _collaborator(call, app)
    shape = collaborator_shape(app, who)
    apps.remove_collaborator(call.world, app, who, by=customer)
    return shape


def _collaborator(call: Call, app: App) -> Customer:
    """Find the path's `{collaborator}`, by the person's e-mail address or id, or by the collaborator's own id."""
    ref = call.path["collaborator"].lower()
    for person in call.world.people_of(app):
        if ref in {person.email.lower(), person.id, collaborator_shape(app, person)["id"]}:
            return person
    raise not_found("collaborator")


ROUTES = [
    api("GET", "/apps/{app}/collaborators", list_collaborators),
    api("POST", "/apps/{app}/collaborators", add_collaborator, status=201, is_for_people=True),
    api("GET", "/apps/{app}/collaborators/{collaborator}", get_collaborator),
    api("DELETE", "/apps/{app}/collaborators/{collaborator}", remove_collaborator, is_for_people=True),
]
