"""The five ways things go wrong. None of them knows HTTP: `web/errors.py` alone turns a kind into a status.

Exception
└── AddonError
    ├── Unauthorized   the caller could not prove who they are
    ├── Refused        the answer is no; the message is for the customer
    ├── Gone           no such resource, or no longer
    └── Retry          not now
anything else          our bug: a fixed text outside, the traceback in the log
"""

from datetime import timedelta


class AddonError(Exception):
    """What this program raises on purpose."""


class Unauthorized(AddonError):
    """The caller could not prove who they are. The message goes to the log only."""


class Refused(AddonError):
    """The answer is no. The message is a sentence for the customer: Heroku prints it verbatim, so it never holds
    an exception's text, a host or a secret.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Gone(AddonError):
    """There is no such resource, or it has been deprovisioned."""


class Retry(AddonError):
    """Not now. `after` is how long the other side asked us to wait, if it said so."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after
