"""Names as Heroku makes them up: `acme-postgres-shaped-12345` for an add-on, colours for further attachments."""

import re
import secrets
from collections.abc import Container

# fmt: off
_ADJECTIVES = (
    "aged", "amorphous", "angular", "asymmetrical", "clean", "clear", "closed", "concave", "concentric",
    "contoured", "convex", "cubed", "curly", "curved", "cylindrical", "deep", "defined", "dimensional",
    "elliptical", "encircled", "expressive", "fitted", "flat", "flexible", "fluffy", "globular", "graceful",
    "horizontal", "infinite", "objective", "octagonal", "opaque", "parallel", "perpendicular", "polished", "pointy",
    "reticulated", "rigid", "round", "rugged", "shallow", "shaped", "sinuous", "slippery", "smooth", "solid",
    "spherical", "symmetrical", "tapered", "transparent", "triangular", "trapezoidal",
)

_NOUNS = (
    "anchorage", "bastion", "brook", "brushlands", "caverns", "citadel", "cove", "depths", "dusk", "earth", "falls",
    "fjord", "forest", "garden", "harbor", "headland", "inlet", "island", "lake", "meadow", "mesa", "mountain", "oasis",
    "peak", "plains", "ravine", "refuge", "ridge", "river", "savannah", "scrubland", "shelf", "shore", "spire",
    "springs", "stream", "tundra", "wave", "woodland",
)

_COLOURS = (
    "AMBER", "AQUA", "BLACK", "BLUE", "BRONZE", "BROWN", "CHARCOAL", "COBALT", "COPPER", "CRIMSON", "CYAN", "GOLD",
    "GRAY", "GREEN", "IVORY", "JADE", "MAROON", "MAUVE", "NAVY", "OLIVE", "ONYX", "ORANGE", "PINK", "PUCE",
    "PURPLE", "RED", "ROSE", "SILVER", "TEAL", "VIOLET", "WHITE", "YELLOW",
)
# fmt: on

PROCESS_TYPE = re.compile(r"[A-Za-z0-9_-]{1,63}")
# A dyno, as `web.1`, or what else prints, as `router`.
PROCESS_NAME = re.compile(r"[a-z][a-z0-9_-]{0,29}(\.[0-9]{1,5})?")
APP_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
APP_NAME_RULE = (
    "Name must start with a letter, end with a letter or digit, be 3 to 30 characters long "
    "and contain only lower-case letters, digits and dashes."
)
ADD_ON_NAME = re.compile(r"[a-zA-Z][A-Za-z0-9_-]+")
ATTACHMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def new_app_name(taken: Container[str]) -> str:
    """Make up a name for an app that was given none, as `flat-meadow-12345`."""
    while True:
        name = f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.randbelow(90_000) + 10_000}"
        if name not in taken and APP_NAME.fullmatch(name):
            return name


def new_addon_name(slug: str, taken: Container[str]) -> str:
    while True:
        name = f"{slug}-{secrets.choice(_ADJECTIVES)}-{secrets.randbelow(90_000) + 10_000}"
        if name not in taken:
            return name


def new_attachment_name(prefix: str, taken: Container[str]) -> str:
    """Return the plain prefix for the first attachment on an app, then `PREFIX_COLOUR`, as Heroku does."""
    if prefix not in taken:
        return prefix
    free = [colour for colour in _COLOURS if f"{prefix}_{colour}" not in taken]
    if free:
        return f"{prefix}_{secrets.choice(free)}"
    return f"{prefix}_{secrets.choice(_COLOURS)}_{secrets.randbelow(90_000) + 10_000}"
