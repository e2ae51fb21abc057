"""The add-on's OAuth client secret: one for the whole service, reset on the partner's page.

A reset ends all access tokens at once; refresh tokens go on with the new secret. It outlives a restart as long as the
simulator is started with the secret that was replaced; one given anew replaces it in turn.
"""

import secrets
from dataclasses import replace

from app.simulator.world import World

from .records import ReplacedSecret


def reset_client_secret(world: World) -> str:
    """Put a new secret in force and return it."""
    former = world.oauth.client_secret
    given = former.given if former else world.offer.client_secret
    fresh = secrets.token_hex(32)
    world.oauth.client_secret = ReplacedSecret(given, fresh, world.now())
    world.offer = replace(world.offer, client_secret=fresh)
    for access in world.access_tokens.values():
        access.expires_at = min(access.expires_at, world.now())
    world.log("The OAuth client secret was reset: all access tokens ended.")
    return fresh


def settle_client_secret(world: World) -> None:
    """Decide at the start which secret is in force: the one reset here, unless another was given meanwhile."""
    replaced = world.oauth.client_secret
    if replaced is None:
        return
    if world.offer.client_secret == replaced.given:
        world.offer = replace(world.offer, client_secret=replaced.current)
    elif world.offer.client_secret != replaced.current:
        world.oauth.client_secret = None
