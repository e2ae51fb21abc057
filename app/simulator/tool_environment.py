"""How others find a simulator: the environment of an unmodified Heroku CLI (npm `heroku` 8 to 11), and what to say."""

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


def how_to_use(url: str, api_key: str, *, slug: str, addon_base_url: str) -> str:
    """Return what a developer needs who has just started a simulator at `url`: addresses, and lines for a shell."""
    return "\n".join(
        [
            f"A pretend Heroku for {slug}, which is called at {addon_base_url}",
            "",
            f"  Marketplace      {url}/marketplace",
            "",
            "Your add-on finds it here:",
            "",
            f"  Platform API     {url}",
            f"  Token endpoint   {url}/oauth/token",
            f"  Partner API      {url}/api/v3",
            "  Client secret    HEROKU_CLIENT_SECRET as it was set for the simulator, else simulated-client-secret;",
            f"                   after a reset the one that {url}/marketplace/people shows",
            "",
            "To use the Heroku CLI with it, paste these lines into a shell:",
            "",
            *environment_lines(url, api_key),
            "",
            f'or let the shell fetch them: eval "$(curl -fsS {url}/simulator/env)"',
            "",
        ]
    )
