"""The grant of a provision request: within five minutes, once, it becomes a token for that one resource."""

from datetime import timedelta
from uuid import uuid4

from app.simulator.records import AddOn, Grant
from app.simulator.world import World

GRANT_LIVES = timedelta(minutes=5)


def new_grant(world: World, addon: AddOn) -> Grant:
    grant = Grant(str(uuid4()), addon.id, world.now() + GRANT_LIVES)
    world.grants[grant.code] = grant
    return grant


def grant_shape(grant: Grant) -> dict[str, str]:
    """Describe a grant as a provision request does."""
    return {
        "code": grant.code,
        "type": "authorization_code",
        # An offset without a colon, as in Heroku's own example: a strict parser must meet it here first.
        "expires_at": grant.expires_at.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
