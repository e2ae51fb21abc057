"""The environment that points an unmodified Heroku CLI (npm `heroku` 8 to 11) at a simulator."""

import shlex
from urllib.parse import urlsplit

_QUIET = (
    "DISABLE_TELEMETRY",  # it reports each command to a foreign host
    "HEROKU_DISABLE_AUTOUPDATE",
    "HEROKU_SKIP_NEW_VERSION_CHECK",
)


def tool_environment(url: str, api_key: str) -> dict[str, str]:
    """Return the variables for a simulator at `url` and the person with that API key; the key is a secret."""
    parts = urlsplit(url)
    return {
        "HEROKU_HOST": url,
        "HEROKU_API_KEY": api_key,
        "HEROKU_PARTICLEBOARD_URL": url,  # a second host that it asks for accounts and teams
        # The plugin for partners takes scheme and port from HEROKU_HOST, and only the name from here.
        "HEROKU_ADDONS_HOST": f"{parts.scheme}://{parts.hostname}",
        **dict.fromkeys(_QUIET, "true"),
    }


def environment_lines(url: str, api_key: str) -> list[str]:
    """Return the same as lines for a POSIX shell: `export NAME=value`."""
    return [f"export {name}={shlex.quote(value)}" for name, value in tool_environment(url, api_key).items()]
