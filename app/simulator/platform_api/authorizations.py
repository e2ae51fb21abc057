"""People's authorizations: `heroku authorizations`, and what `heroku login -i` and `logout` do with them."""

from datetime import timedelta
from typing import Any

from app.simulator.errors import invalid, not_found, unauthorized
from app.simulator.oauth import authorizations as rules
from app.simulator.oauth.records import Authorization
from app.simulator.shapes import Shape, moment

from .call import Call, api


async def list_authorizations(call: Call) -> Any:
    return [_shape(call, one) for one in rules.authorizations_of(call.world, call.customer)]


async def get_authorization(call: Call) -> Any:
    return _shape(call, _authorization(call))


async def create_authorization(call: Call) -> Any:
    """Make a token. Asked with Basic `email:password`, where a person's password is their API key."""
    body = await call.body()
    scope = body.get("scope") or ["global"]
    if not isinstance(scope, list) or not all(isinstance(one, str) for one in scope):
        raise invalid("Scope must be a list of names.")
    made = rules.authorize(
        call.world,
        call.customer,
        _description(body) or "Long-lived user authorization",
        scope=scope,
        lives=_life(body.get("expires_in")),
    )
    return _shape(call, made)


async def change_authorization(call: Call) -> Any:
    """Change the description, or the client by its id and secret."""
    found, body = _authorization(call), await call.body()
    if found.id not in call.world.oauth.authorizations:
        raise invalid("The authorization of an API key cannot be changed.")
    client = body.get("client")
    if client is not None:
        if not isinstance(client, dict):
            raise invalid("client must be an object with an id and a secret.")
        known = call.world.oauth.clients.get(str(client.get("id")))
        if known is None:
            raise not_found("client")
        if client.get("secret") != known.secret:
            raise unauthorized("Invalid client secret.")
        found.client_id = known.id
    found.description = _description(body) or found.description
    found.updated_at = call.world.now()
    call.world.changed()
    return _shape(call, found)


async def revoke_authorization(call: Call) -> Any:
    found = _authorization(call)
    rules.revoke(call.world, found)
    return _shape(call, found)


async def regenerate_tokens(call: Call) -> Any:
    return _shape(call, rules.regenerate(call.world, _authorization(call)))


async def end_session(call: Call) -> Any:  # noqa: ARG001 - all handlers are alike
    """Say that the token belongs to no session, as none does here: `heroku logout` ends its authorization instead."""
    raise not_found("session")


def _authorization(call: Call) -> Authorization:
    return rules.find_authorization(call.world, call.customer, call.path["authorization"])


def _description(body: dict[str, Any]) -> str:
    description = body.get("description") or ""
    if not isinstance(description, str):
        raise invalid("The description must be text.")
    return description


def _life(value: Any) -> timedelta | None:
    """Read `expires_in`, seconds as a number or, as the Heroku CLI sends them, as text."""
    if value is None:
        return None
    try:
        return timedelta(seconds=int(value))
    except (OverflowError, TypeError, ValueError):
        raise invalid("expires_in must be a positive number of seconds.") from None


def _shape(call: Call, one: Authorization) -> Shape:
    customer, client = call.world.customers[one.customer_id], call.world.oauth.clients.get(one.client_id or "")
    left = None if one.expires_at is None else int((one.expires_at - call.world.now()).total_seconds())
    return {
        "access_token": {"expires_in": left, "id": one.token_id, "token": one.token},
        "client": {"id": client.id, "name": client.name, "redirect_uri": client.redirect_uri} if client else None,
        "created_at": moment(one.created_at),
        "description": one.description,
        "grant": None,
        "id": one.id,
        "refresh_token": None,  # nosec B105 # there is none
        "scope": one.scope,
        "session": None,
        "updated_at": moment(one.updated_at),
        "user": {"email": customer.email, "full_name": customer.name, "id": customer.id},
    }


_ONE = "/oauth/authorizations/{authorization}"
ROUTES = [
    api("GET", "/oauth/authorizations", list_authorizations, is_for_people=True),
    api("POST", "/oauth/authorizations", create_authorization, status=201, is_for_people=True),
    api("GET", _ONE, get_authorization, is_for_people=True),
    api("PATCH", _ONE, change_authorization, is_for_people=True),
    api("DELETE", _ONE, revoke_authorization, is_for_people=True),
    api("POST", f"{_ONE}/actions/regenerate-tokens", regenerate_tokens, is_for_people=True),
    api("DELETE", "/oauth/sessions/{session}", end_session, is_for_people=True),
]
