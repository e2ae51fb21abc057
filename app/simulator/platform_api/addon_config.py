"""An add-on's own config vars, by their names in the manifest: read by all who see the add-on, set by its partner."""

from typing import Any

from app.simulator.errors import invalid
from app.simulator.verdicts import on_config_values, refused_config

from .call import Call, api


async def get_addon_config(call: Call) -> Any:
    return _config_list(call.addon().config)


async def set_addon_config(call: Call) -> Any:
    """Change config vars by their names in the manifest; null removes one, what is not named stays."""
    addon = call.own_addon()
    changes = _config_changes(await call.body())
    reasons = refused_config(call.offer, {name: value for name, value in changes.items() if value is not None})
    reasons += [
        f"The config var {name} is not declared in the manifest."
        for name, value in changes.items()
        if value is None and name not in call.offer.config_vars
    ]
    if reasons:
        raise invalid(" ".join(reasons))
    call.request.state.findings += on_config_values(call.offer, changes)
    call.world.set_config(addon, changes, by_email=call.email)
    return _config_list(addon.config)


def _config_changes(body: dict[str, Any]) -> dict[str, str | None]:
    config = body.get("config")
    if not isinstance(config, list):
        raise invalid('The body must be {"config": [{"name": ..., "value": ...}]}.')
    changes: dict[str, str | None] = {}
    for item in config:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or "value" not in item:
            raise invalid("Every config var needs a name and a value.")
        if not isinstance(item["value"], str | None):
            raise invalid(f"The config var {item['name']} has a value that is not a string.")
        changes[item["name"]] = item["value"]
    return changes


def _config_list(config: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(config.items())]


ROUTES = [
    api("GET", "/addons/{addon}/config", get_addon_config, order=("name",)),
    api("PATCH", "/addons/{addon}/config", set_addon_config, order=("name",)),
]
