"""The add-on under test."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """The add-on under test, and what may be done to it.

    `patience` bounds every wait for the add-on's own work, in seconds. `restart_command` kills and starts it;
    `log_file` is where it logs; `previous_password` and `previous_salt` are those that it still accepts after a change.
    Without them the checks that need them are skipped.
    """

    base_url: str
    sso_url: str
    patience: float = 60
    restart_command: str | None = None
    log_file: str | None = None
    previous_password: str | None = field(default=None, repr=False)
    previous_salt: str | None = field(default=None, repr=False)


def is_loopback(host: str | None) -> bool:
    return host in {"localhost", "::1", "0.0.0.0"} or (host or "").startswith("127.")  # nosec B104 # read, never bound
