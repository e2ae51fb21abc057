"""What some faults do to the world: tokens that die just now, a customer who removes the add-on in mid-flight."""

from .faults import Fault
from .records import AddOn, PendingDelete
from .world import World


def strike(world: World, fault: Fault, addon: AddOn | None) -> None:
    """Let happen what the fault says, a moment before the add-on's call about `addon` is answered."""
    if addon is None:
        return
    if fault.kind == "expire_token":
        expire_access_tokens(world, addon)
    elif fault.kind == "revoke_token":
        _revoke_tokens(world, addon)
    elif fault.kind == "deprovision":
        remove_meanwhile(world, addon)


def expire_access_tokens(world: World, addon: AddOn) -> None:
    """End the add-on's access tokens now; refresh tokens go on working."""
    for access in world.access_tokens.values():
        if access.addon_id == addon.id:
            access.expires_at = min(access.expires_at, world.now())
    world.log(f"The access tokens of {addon.name} were ended.", app=world.apps[addon.app_id], addon=addon)


def _revoke_tokens(world: World, addon: AddOn) -> None:
    for access in [one for one in world.access_tokens.values() if one.addon_id == addon.id]:
        del world.access_tokens[access.token]
    for refresh in [one for one in world.refresh_tokens.values() if one.addon_id == addon.id]:
        del world.refresh_tokens[refresh.token]
    world.log(f"The tokens of {addon.name} were revoked.", app=world.apps[addon.app_id], addon=addon)


def remove_meanwhile(world: World, addon: AddOn) -> None:
    """Let the customer remove the add-on while something else is under way.

    The DELETE goes out in the next round: an add-on that does one thing at a time must be able to finish this first.
    """
    if addon.state == "deprovisioned" or addon.id not in world.addons:
        return
    world.remove(addon, "by the customer, meanwhile.")
    now = world.now()
    world.pending_deletes[addon.id] = PendingDelete(addon.id, attempts=0, first_at=now, next_at=now)
    world.changed()
