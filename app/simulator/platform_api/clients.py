"""People's OAuth clients: applications that ask other people for access, as `heroku clients` lists them."""

from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from app.simulator.errors import invalid, not_found
from app.simulator.oauth.credentials import token_of
from app.simulator.oauth.records import OAuthClient
from app.simulator.shapes import Shape, moment

from .call import Call, api
from .callers import find_caller

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def list_clients(call: Call) -> Any:
    own = [one for one in call.world.oauth.clients.values() if one.customer_id == call.customer.id]
    return [_shape(one) for one in own]


async def get_client(call: Call) -> Any:
    """Describe a client to anyone; only its owner is shown the secret."""
    found = call.world.oauth.clients.get(call.path["client"])
    customer = find_caller(call.request).customer if token_of(call.request) else None
    if found is None:
        raise not_found("client")
    shape = _shape(found)
    if customer is None or customer.id != found.customer_id:
        del shape["secret"]
    return shape


async def create_client(call: Call) -> Any:
    body, now = await call.body(), call.world.now()
    made = OAuthClient(
        id=str(uuid4()),
        customer_id=call.customer.id,
        name=_name(body.get("name")),
        redirect_uri=_redirect_uri(body.get("redirect_uri")),
        secret=token_hex(32),
        created_at=now,
        updated_at=now,
    )
    call.world.oauth.clients[made.id] = made
    call.world.changed()
    return _shape(made)


async def change_client(call: Call) -> Any:
    found, body = _own_client(call), await call.body()
    name = _name(body["name"]) if "name" in body else found.name
    found.redirect_uri = _redirect_uri(body["redirect_uri"]) if "redirect_uri" in body else found.redirect_uri
    found.name, found.updated_at = name, call.world.now()
    call.world.changed()
    return _shape(found)


async def delete_client(call: Call) -> Any:
    """Delete a client; authorizations made for it end with it."""
    found, known = _own_client(call), call.world.oauth
    del known.clients[found.id]
    for one in [one for one in known.authorizations.values() if one.client_id == found.id]:
        del known.authorizations[one.id]
    call.world.changed()
    return _shape(found)


async def rotate_credentials(call: Call) -> Any:
    found = _own_client(call)
    found.secret, found.updated_at = token_hex(32), call.world.now()
    call.world.changed()
    return _shape(found)


def _own_client(call: Call) -> OAuthClient:
    found = call.world.oauth.clients.get(call.path["client"])
    if found is None or found.customer_id != call.customer.id:
        raise not_found("client")
    return found


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise invalid("Name can't be blank.")
    return value


def _redirect_uri(value: Any) -> str:
    refusal = invalid("Redirect URI must be an https URL, or http to this machine.")
    try:
        url = urlsplit(value if isinstance(value, str) else "")
        host = url.hostname
    except ValueError:
        raise refusal from None
    if not host or not (url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)):
        raise refusal
    return str(value)


def _shape(client: OAuthClient) -> Shape:
    return {
        "created_at": moment(client.created_at),
        "id": client.id,
        "ignores_delinquent": False,
        "name": client.name,
        "redirect_uri": client.redirect_uri,
        "secret": client.secret,
        "updated_at": moment(client.updated_at),
    }


ROUTES = [
    api("GET", "/oauth/clients", list_clients, order=("id", "name"), is_for_people=True),
    api("POST", "/oauth/clients", create_client, status=201, is_for_people=True),
    api("GET", "/oauth/clients/{client}", get_client, is_public=True),
    api("PATCH", "/oauth/clients/{client}", change_client, is_for_people=True),
    api("DELETE", "/oauth/clients/{client}", delete_client, is_for_people=True),
    api("POST", "/oauth/clients/{client}/actions/rotate-credentials", rotate_credentials, is_for_people=True),
]
