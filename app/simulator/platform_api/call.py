"""What every endpoint of the platform API has in common: the caller, the rate limit, paging, ETag, errors.

https://devcenter.heroku.com/articles/platform-api-reference#overview. A module of endpoints is a list of `api(...)`
lines; each names a handler, which takes a `Call` and returns what goes on the wire as JSON.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.simulator.errors import HerokuError, forbidden, not_found
from app.simulator.forms import read_json
from app.simulator.guard import PAGES
from app.simulator.offer import Offer
from app.simulator.parts import Parts, parts
from app.simulator.recording import recorded
from app.simulator.records import AddOn, App, Customer, Direction
from app.simulator.verdicts import hint, problem
from app.simulator.world import World

from .callers import ANYONE, Caller, find_caller, is_customer
from .ranges import page_of


@dataclass(frozen=True)
class Call:
    """One request to the platform API by a known caller. Handlers may add to `headers` of the answer."""

    request: Request
    known: Parts
    caller: Caller
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.known.world

    @property
    def offer(self) -> Offer:
        return self.known.offer

    @property
    def url(self) -> str:
        """Return the simulator's own address, without a slash at its end."""
        return self.known.url

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    @property
    def expand(self) -> frozenset[str]:
        """Return what Accept-Expansion asks to have embedded in full: `plan`, `addon_service`."""
        return self._names_in("accept-expansion")

    @property
    def include(self) -> frozenset[str]:
        """Return what Accept-Inclusion asks to have besides: `addon:plan`, `config_vars`."""
        return self._names_in("accept-inclusion")

    def _names_in(self, header: str) -> frozenset[str]:
        return frozenset(part.strip() for part in self.request.headers.get(header, "").split(","))

    @property
    def customer(self) -> Customer:
        """Return the person who asks; 403 for an add-on's token."""
        if self.caller.customer is None:
            raise forbidden("An add-on's token cannot do that.")
        return self.caller.customer

    @property
    def email(self) -> str:
        """Return under whose name a change appears in releases and events."""
        return self.caller.customer.email if self.caller.customer else self.known.calls.partner_email

    def app(self) -> App:
        """Return the path's `{app}`, by id or name; 403 when it is not the caller's."""
        app = self.world.app(self.path["app"])
        if not self.caller.may_see_app(self.world, app):
            raise forbidden(f"You do not have access to the app {self.path['app']}.")
        return app

    def addon(self) -> AddOn:
        """Return the path's `{addon}`, which must be on the path's `{app}` when there is one; 403 as above."""
        addon = self.world.addon(self.path["addon"])
        if not self.caller.may_see_addon(self.world, addon):
            raise forbidden("You do not have access to that add-on.")
        app_ref = self.path.get("app")
        if app_ref is not None and self.world.app(app_ref) not in self.world.apps_of(addon):
            raise not_found("add-on")
        return addon

    def own_addon(self) -> AddOn:
        """Return the path's `{addon}` for a call that only its partner may make."""
        addon = self.addon()
        if self.caller.addon is None:
            raise forbidden("Only the add-on's partner may do that.")
        return addon

    async def body(self) -> dict[str, Any]:
        """Return the JSON object that was sent, an empty one for no body; 400 for anything else."""
        return await read_json(self.request)


Handler = Callable[[Call], Awaitable[Any]]


def api(
    method: str,
    path: str,
    handler: Handler,
    *,
    status: int = 200,
    order: Sequence[str] = ("id",),
    is_public: bool = False,
    is_for_people: bool = False,
) -> Route:
    """Make one endpoint. `status` is that of success; `order` the fields by which a list may be paged.

    What `is_for_people` is refused to add-ons' tokens.
    """

    async def answer(request: Request) -> Response:
        caller = ANYONE if is_public else find_caller(request)
        findings = request.state.findings
        if caller.addon is not None and "version=3" not in request.headers.get("accept", ""):
            findings.append(hint("The Accept header should be application/vnd.heroku+json; version=3."))
        known = parts(request)
        headers = {"RateLimit-Remaining": str(known.rate_limit.spend(caller.account, known.world.now()))}
        call = Call(request, known, caller, headers)
        try:
            if is_for_people and caller.customer is None:
                raise forbidden("An add-on's token cannot do that.")
            result = await handler(call)
            if isinstance(result, list):
                page = page_of(result, request.headers.get("range"), order)
                # Webhooks' lists are in the order of a number that Heroku shows in the range alone.
                items = [{key: value for key, value in item.items() if key != "seq"} for item in page.items]
                return _answer(request, items, page.status, headers | page.headers)
        except HerokuError as error:
            if caller.addon is not None:
                findings.append(problem(f"Answered {error.status}: {error.message}"))
            error.headers.update(headers)
            raise
        return result if isinstance(result, Response) else _answer(request, result, status, headers)

    return Route(path, recorded(_direction, answer), methods=[method])


def _direction(request: Request) -> Direction:
    return "customer" if is_customer(request) else "platform"


def _answer(request: Request, content: Any, status: int, headers: dict[str, str]) -> Response:
    """Answer JSON; a GET that the client has already is 304."""
    response = JSONResponse(content, status, headers)
    if request.method == "GET":
        etag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
        response.headers.update({"ETag": etag, "Cache-Control": "private, no-cache"})
        known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
        if known & {etag, "*"}:
            return Response(status_code=304, headers=headers | {"ETag": etag})
    return response


class _Rest(Route):
    """Every address that is not one of the simulator's own pages."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith(PAGES) else super().matches(scope)


def no_such_endpoint() -> Route:
    """Take what no other route took, so that the call is found, with its reason, among the exchanges."""

    async def answer(request: Request) -> Response:
        message = f"The simulator has no endpoint {request.method} {request.url.path}."
        if not is_customer(request):
            request.state.findings.append(problem(message))
        raise HerokuError(404, "not_found", message)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return _Rest("/{rest:path}", recorded(_direction, answer), methods=methods)
