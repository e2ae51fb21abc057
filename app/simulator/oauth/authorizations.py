"""Tokens that people make for their tools, and the one that each of them has from the beginning: the API key.

https://devcenter.heroku.com/articles/oauth. The API key's authorization is not kept: it is its owner, seen as one.
"""

import hmac
from collections.abc import Sequence
from datetime import timedelta
from uuid import NAMESPACE_DNS, uuid4, uuid5

from app.simulator.errors import forbidden, invalid, not_found
from app.simulator.records import Customer
from app.simulator.world import World

from .records import Authorization, OAuthClient

SCOPES = ("global", "identity", "read", "write", "read-protected", "write-protected")
# What the Heroku CLI is given when a person logs in, in a browser or with a password.
LOGIN_LIVES = timedelta(days=365)
_LONGEST_LIFE = timedelta(days=36500)


def authorize(
    world: World,
    customer: Customer,
    description: str,
    *,
    scope: Sequence[str] = ("global",),
    lives: timedelta | None = None,
    client: OAuthClient | None = None,
) -> Authorization:
    """Make a token for a tool of this person's; without `lives` it works until it is revoked."""
    unknown = sorted(set(scope) - set(SCOPES))
    if unknown or not scope:
        raise invalid(f"Scope must be one or more of {', '.join(SCOPES)}.")
    if lives is not None and not timedelta() < lives <= _LONGEST_LIFE:
        raise invalid("expires_in must be a positive number of seconds.")
    now = world.now()
    made = Authorization(
        id=str(uuid4()),
        customer_id=customer.id,
        description=description,
        scope=list(dict.fromkeys(scope)),
        token_id=str(uuid4()),
        token=f"HRKU-{uuid4()}",
        lives=lives,
        expires_at=None if lives is None else now + lives,
        client_id=client.id if client else None,
        created_at=now,
        updated_at=now,
    )
    world.oauth.authorizations[made.id] = made
    world.changed()
    return made


def default_authorization(world: World, customer: Customer) -> Authorization:
    """Describe the API key as the authorization `~`."""
    began_at = min((app.created_at for app in world.apps.values()), default=world.now())
    return Authorization(
        id=str(uuid5(NAMESPACE_DNS, f"api-key.{customer.id}")),
        customer_id=customer.id,
        description="API key",
        scope=["global"],
        token_id=str(uuid5(NAMESPACE_DNS, f"api-key-token.{customer.id}")),
        token=customer.api_key,
        lives=None,
        expires_at=None,
        client_id=None,
        created_at=began_at,
        updated_at=began_at,
    )


def authorizations_of(world: World, customer: Customer) -> list[Authorization]:
    """List a person's living authorizations, the API key's first."""
    own = [one for one in world.oauth.authorizations.values() if one.customer_id == customer.id]
    return [default_authorization(world, customer), *(one for one in own if not _is_over(world, one))]


def find_authorization(world: World, customer: Customer, ref: str) -> Authorization:
    """Find by id, `~` for the API key's; 404 also for what is another's or has expired."""
    if ref == "~":
        return default_authorization(world, customer)
    found = next((one for one in authorizations_of(world, customer) if one.id == ref), None)
    if found is None:
        raise not_found("authorization")
    return found


def find_token(world: World, token: str) -> Authorization | None:
    """Find the authorization that this bearer token belongs to; an expired one is forgotten on this occasion."""
    given = token.encode()
    for one in list(world.oauth.authorizations.values()):
        if hmac.compare_digest(one.token.encode(), given):
            if not _is_over(world, one):
                return one
            del world.oauth.authorizations[one.id]
            world.changed()
    return None


def regenerate(world: World, authorization: Authorization) -> Authorization:
    """Give the authorization a new token; the old one is refused from now on."""
    kept = world.oauth.authorizations.get(authorization.id)
    if kept is None:
        customer = world.customers[authorization.customer_id]
        customer.api_key = f"HRKU-{uuid4()}"
        world.changed()
        return default_authorization(world, customer)
    kept.token, kept.token_id, kept.updated_at = f"HRKU-{uuid4()}", str(uuid4()), world.now()
    kept.expires_at = None if kept.lives is None else world.now() + kept.lives
    world.changed()
    return kept


def revoke(world: World, authorization: Authorization) -> None:
    if authorization.id not in world.oauth.authorizations:
        raise forbidden("An API key cannot be revoked; regenerate its token instead.")
    del world.oauth.authorizations[authorization.id]
    world.changed()


def _is_over(world: World, authorization: Authorization) -> bool:
    return authorization.expires_at is not None and authorization.expires_at <= world.now()
