"""How far an add-on has come, step by step, from what Heroku itself knows of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.simulator.calls import PROVISIONING_ENDS_AFTER
from app.simulator.records import AddOn
from app.simulator.world import World


@dataclass(frozen=True)
class Step:
    """`at` is when it happened, None while it has not; `text` says what is left or what went wrong."""

    name: str
    kind: Literal["done", "now", "failed", "later"]
    at: datetime | None = None
    text: str = ""


def steps(world: World, addon: AddOn) -> list[Step]:
    return [Step("Asked for", "done", addon.created_at), _grant(world, addon), _config(world, addon), _end(addon)]


def _grant(world: World, addon: AddOn) -> Step:
    name = "Grant exchanged"
    grants = [grant for grant in world.grants.values() if grant.addon_id == addon.id]
    if not grants:
        return Step(name, "later")
    grant = grants[-1]
    if grant.used_at is not None:
        return Step(name, "done", grant.used_at)
    if grant.expires_at > world.now():
        return Step(name, "now", text=f"it waits until {grant.expires_at:%H:%M:%S}")
    return Step(name, "failed", text=f"it was not, until {grant.expires_at:%H:%M:%S}")


def _config(world: World, addon: AddOn) -> Step:
    name, declared = "Config vars set", world.offer.config_vars
    if not declared:
        return Step(name, "done", text="the manifest has none")
    is_set = sum(1 for one in declared if one in addon.config)
    text = f"{is_set} of {len(declared)}"
    if addon.state == "provisioned":
        return Step(name, "done" if is_set else "failed", text=text)
    return Step(name, "now" if is_set else "later", text=text)


def _end(addon: AddOn) -> Step:
    if addon.state == "provisioned":
        return Step("Provisioned", "done", addon.provisioned_at)
    until = addon.created_at + PROVISIONING_ENDS_AFTER
    return Step("Provisioned", "now", text=f"until {until:%-d %b, %H:%M} at the latest")
