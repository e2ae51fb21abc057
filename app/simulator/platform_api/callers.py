"""Who asks the platform API, and what they may see."""

import hmac
from dataclasses import dataclass

from starlette.requests import Request

from app.simulator.errors import forbidden, unauthorized
from app.simulator.oauth.authorizations import find_token
from app.simulator.oauth.credentials import basic_of, token_of
from app.simulator.parts import parts
from app.simulator.records import AddOn, App, Customer
from app.simulator.verdicts import note, problem
from app.simulator.world import World

from .scopes import may


@dataclass(frozen=True)
class Caller:
    """Either an add-on with one resource's token, or a customer with one of theirs, or neither on a public endpoint.

    `scope` is that of the customer's token.
    """

    addon: AddOn | None
    customer: Customer | None
    scope: tuple[str, ...] = ("global",)

    @property
    def account(self) -> str:
        """Return whose calls are counted: all tokens of an add-on belong to one pseudo-user."""
        if self.addon is not None:
            return "add-on"
        return self.customer.id if self.customer else "anyone"

    def may_see_app(self, world: World, app: App) -> bool:
        if self.addon is not None:
            return app in world.apps_of(self.addon)
        return self.customer in world.people_of(app)

    def may_see_addon(self, world: World, addon: AddOn) -> bool:
        if self.addon is not None:
            return self.addon.id == addon.id
        return any(self.customer in world.people_of(app) for app in world.apps_of(addon))


ANYONE = Caller(None, None)


def find_caller(request: Request) -> Caller:
    """Know the caller by bearer token, or by the password of Basic as older clients send it; 401 otherwise."""
    world, findings = parts(request).world, request.state.findings
    token = token_of(request)
    blame = note if is_customer(request) else problem  # a person's key may be wrong; an add-on should know its token
    if not token:
        findings.append(blame("No bearer token was sent."))
        raise unauthorized()
    access = world.access_tokens.get(token)
    if access is not None:
        request.state.addon_id = access.addon_id
        if access.expires_at <= world.now():
            findings.append(problem("The access token has expired: refresh it before its eight hours are over."))
            raise unauthorized()
        return Caller(world.addons[access.addon_id], None)
    caller = _person_with(world, token)
    if caller is None:
        findings.append(blame("The token is unknown, or its add-on was removed."))
        raise unauthorized()
    name, _ = basic_of(request) or ("", "")
    if caller.customer is not None and name not in {"", caller.customer.email}:
        raise unauthorized("The password is not that of this e-mail address.")
    if not may(caller.scope, request.method, request.url.path):
        raise forbidden("The scope of this token does not allow that.")
    return caller


def is_customer(request: Request) -> bool:
    """Tell a person's tool from an add-on: by its token; where that tells nothing, the Heroku CLI says who it is."""
    token, world = token_of(request), parts(request).world
    if token in world.access_tokens:
        return False
    return _person_with(world, token) is not None or "heroku-cli" in request.headers.get("user-agent", "")


def _person_with(world: World, token: str) -> Caller | None:
    """Find whose API key this is, or whose authorization it belongs to."""
    given = token.encode()
    for customer in world.customers.values():
        if hmac.compare_digest(customer.api_key.encode(), given):
            return Caller(None, customer)
    authorization = find_token(world, token)
    if authorization is None:
        return None
    return Caller(None, world.customers[authorization.customer_id], tuple(authorization.scope))
