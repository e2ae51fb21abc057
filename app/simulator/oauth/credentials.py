"""Who a request says it is: the Authorization header, in the spellings that Heroku's clients and partners use."""

import base64
import binascii
import hmac

from starlette.requests import Request

from app.simulator.records import AddOn
from app.simulator.world import World


def basic_of(request: Request) -> tuple[str, str] | None:
    """Return the name and the password of Basic authentication, None for anything else."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password


def token_of(request: Request) -> str:
    """Return a bearer token, or the password of Basic, where older clients put it; "" when there is none."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    basic = basic_of(request)
    return basic[1] if basic else ""


def is_partner(world: World, request: Request) -> bool:
    """Tell whether the manifest's id and password were sent, as a partner's own programs do."""
    name, password = basic_of(request) or ("", "")
    is_named = hmac.compare_digest(name.encode(), world.offer.slug.encode())
    return hmac.compare_digest(password.encode(), world.offer.password.encode()) and is_named


def resource_of(world: World, request: Request) -> AddOn | None:
    """Find the resource whose access token was sent, also when the token has expired."""
    access = world.access_tokens.get(token_of(request))
    return None if access is None else world.addons.get(access.addon_id)
