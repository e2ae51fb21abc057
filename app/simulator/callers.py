"""Who asks the platform API, and what they may see."""

import base64
import binascii
import hmac
from dataclasses import dataclass

from starlette.requests import Request

from .errors import forbidden, not_found, unauthorized
from .parts import parts
from .records import AddOn, App, Customer
from .verdicts import problem
from .world import World


@dataclass(frozen=True)
class Caller:
    """Either an add-on with one resource's token or a customer with an API key."""

    addon: AddOn | None
    customer: Customer | None

    def may_see_app(self, world: World, app: App) -> bool:
        if self.addon is not None:
            return app in world.apps_of(self.addon)
        return self.customer in world.people_of(app)

    def may_see_addon(self, world: World, addon: AddOn) -> bool:
        if self.addon is not None:
            return self.addon.id == addon.id
        return any(self.customer in world.people_of(app) for app in world.apps_of(addon))


def find_caller(request: Request) -> Caller:
    """Know the caller by bearer token, or by the password of Basic as older clients send it; 401 otherwise."""
    world, findings = parts(request).world, request.state.findings
    token = _token(request.headers.get("authorization", ""))
    if not token:
        findings.append(problem("No bearer token was sent."))
        raise unauthorized()
    access = world.access_tokens.get(token)
    if access is not None:
        request.state.addon_id = access.addon_id
        if access.expires_at <= world.now():
            findings.append(problem("The access token has expired: refresh it before its eight hours are over."))
            raise unauthorized()
        return Caller(world.addons[access.addon_id], None)
    for customer in world.customers.values():
        if hmac.compare_digest(customer.api_key.encode(), token.encode()):
            return Caller(None, customer)
    findings.append(problem("The token is unknown, or its add-on was removed."))
    raise unauthorized()


def _token(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def visible_app(request: Request, caller: Caller) -> App:
    world = parts(request).world
    app = world.app(request.path_params["app"])
    if not caller.may_see_app(world, app):
        raise forbidden(f"You do not have access to the app {app.name}.")
    return app


def visible_addon(request: Request, caller: Caller) -> AddOn:
    world = parts(request).world
    addon = world.addon(request.path_params["addon"])
    if not caller.may_see_addon(world, addon):
        raise forbidden("You do not have access to that add-on.")
    app_ref = request.path_params.get("app")
    if app_ref is not None and world.app(app_ref) not in world.apps_of(addon):
        raise not_found("add-on")
    return addon


def own_addon(request: Request, caller: Caller) -> AddOn:
    """Return the add-on for a call only its partner may make."""
    addon = visible_addon(request, caller)
    if caller.addon is None:
        raise forbidden("Only the add-on's partner may do that.")
    return addon
