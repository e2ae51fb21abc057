"""Usage that a partner reports by the hour, for plans that are billed by it: each record is judged by itself."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from app.simulator.errors import invalid
from app.simulator.shapes import Shape, moment
from app.simulator.world import World

from .records import Usage

_KEPT = 5000
_HIGHEST = 1e15
_Key = tuple[str, str, datetime]


def take_usages(world: World, batch: dict[str, Any]) -> Shape:
    """Take `{"timestamp", "usages": [{"quantity", "resource": {"id"}, "unit": {"name"}}]}` and say what became of each.

    The timestamp is the start of the previous hour and nothing else; one record for each hour, resource and unit.
    """
    hour_at = world.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    if batch.get("timestamp") != moment(hour_at):
        raise invalid(f"The timestamp must be the start of the previous hour, {moment(hour_at)}.")
    usages = batch.get("usages")
    if not isinstance(usages, list) or not usages:
        raise invalid("usages must be a list that is not empty.")
    installed = {addon.id for addon in world.installed()}
    reported = {_key(one) for one in world.portal.usages}
    answers = []
    for raw in usages:
        usage = Usage(
            id=str(uuid4()),
            addon_id=str(_inner(raw, "resource", "id")),
            unit=str(_inner(raw, "unit", "name") or ""),
            quantity=_quantity(raw),
            hour_at=hour_at,
        )
        errors = _errors(usage, installed, reported)
        if not errors:
            world.portal.usages.append(usage)
            reported.add(_key(usage))
        answers.append(_shape(usage, errors))
    del world.portal.usages[:-_KEPT]
    world.changed()
    return {"id": str(uuid4()), "timestamp": moment(hour_at), "usages": answers}


def _key(usage: Usage) -> _Key:
    return usage.addon_id, usage.unit, usage.hour_at


def _errors(usage: Usage, installed: set[str], reported: set[_Key]) -> dict[str, list[str]]:
    errors = {}
    if not 0 <= usage.quantity <= _HIGHEST:
        errors["quantity"] = ["must be a number that is not negative"]
    if usage.addon_id not in installed:
        errors["resource"] = ["is not installed"]
    if not usage.unit:
        errors["unit"] = ["needs a name"]
    if _key(usage) in reported:
        errors["unit"] = ["was reported for this resource and hour already"]
    return errors


def _shape(usage: Usage, errors: dict[str, list[str]]) -> Shape:
    shape = {
        "id": usage.id,
        "quantity": usage.quantity,
        "resource": {"id": usage.addon_id},
        "status": "rejected" if errors else "accepted",
        "unit": {"name": usage.unit},
    }
    return {**shape, "errors": errors} if errors else shape


def _inner(raw: Any, name: str, key: str) -> Any:
    inner = raw.get(name) if isinstance(raw, dict) else None
    return inner.get(key) if isinstance(inner, dict) else None


def _quantity(raw: Any) -> float:
    """Return the quantity, -1 for what is no number."""
    value: Any = raw.get("quantity") if isinstance(raw, dict) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else -1
