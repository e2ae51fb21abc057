"""An app's own config vars, beside those its add-ons bring. https://devcenter.heroku.com/articles/config-vars"""

import re
from collections.abc import Mapping
from typing import Any

from .errors import invalid
from .records import App, Release
from .world import World

_NAME = re.compile(r"[A-Za-z0-9_]+")
_MOST_BYTES = 64 * 1024


def change(world: World, app: App, changes: Mapping[str, Any], *, by_email: str) -> Release | None:
    """Set or, with None, remove config vars; all of it is one release, and what changes nothing is none."""
    for name, value in changes.items():
        if not _NAME.fullmatch(name) or name.startswith("__"):
            raise invalid(
                f"The config var name {name[:100]!r} is not valid: a name has only letters, digits and underscores, "
                "and does not begin with two underscores."
            )
        if not isinstance(value, str | None):
            raise invalid(f"The config var {name} has a value that is not a string.")
    attached = world.addon_config_vars(app)
    owned = sorted(name for name in changes.keys() & attached.keys() if changes[name] != attached[name])
    if owned:
        raise invalid(f"Cannot overwrite attachment values {', '.join(owned)}.")
    own = {name: value for name, value in changes.items() if name not in attached}
    config = {name: value for name, value in (app.config | own).items() if value is not None}
    if config == app.config:
        return None
    if sum(len(name.encode()) + len(value.encode()) for name, value in (config | attached).items()) > _MOST_BYTES:
        raise invalid(f"The names and values of an app's config vars may have {_MOST_BYTES // 1024} KB in all.")
    description = _description(app.config, config)
    app.config, app.updated_at = config, world.now()
    return world.cut_release(app, description, by_email)


def _description(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    is_set = sorted(name for name, value in after.items() if before.get(name) != value)
    removed = sorted(before.keys() - after.keys())
    said = [f"Set {', '.join(is_set)} config vars"] if is_set else []
    if removed:
        said.append(f"Remove {', '.join(removed)} config vars")
    return "; ".join(said)
