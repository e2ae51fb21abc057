"""What every command begins with: settings, the log, and one sentence for what went wrong.

A process that serves loads no more than this of what commands share.
"""

import contextlib
from collections.abc import Iterator

import typer
from psycopg.errors import UndefinedTable
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.encryption import WrongKeyError
from app.errors import Gone, Refused, Retry
from app.log import configure_logging
from app.manifest import BadManifestError
from app.settings import BadSettingsError, Settings, read_settings


@contextlib.contextmanager
def clear_errors(*more: type[Exception]) -> Iterator[None]:
    """What an operator can mend is one sentence, not a traceback. `more` are further kinds whose text is one."""
    kinds: tuple[type[Exception], ...] = (BadSettingsError, BadManifestError, WrongKeyError, Refused, *more)
    try:
        yield
    except kinds as error:
        sentence = str(error)
    except Gone:
        sentence = "There is no such resource, or it has been deprovisioned."
    except Retry as error:
        sentence = f"{error}: {_first_line(error.__cause__)}" if error.__cause__ else str(error)
    except OperationalError as error:
        sentence = f"The database is not available: {_first_line(error.orig)}"
    except ProgrammingError as error:
        if not isinstance(error.orig, UndefinedTable):
            raise
        sentence = "The database has no tables yet. Run: python -m app migrate"
    else:
        return
    typer.secho(visible(sentence), err=True, fg="red")
    raise typer.Exit(1)


def visible(words: str) -> str:
    """Text that may come from outside, such as a customer's address, without the codes that a terminal obeys."""
    return "".join(c if c.isprintable() else " " for c in words)


def _first_line(error: BaseException | None) -> str:
    """What the database said, without the advice that follows."""
    return str(getattr(error, "orig", error)).partition("\n")[0]


def settings_of_process() -> Settings:
    """The settings of a process that serves, whose log goes where they say."""
    settings = read_settings()
    configure_logging(settings.log_format)
    return settings
