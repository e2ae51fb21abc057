"""Heroku's list of installs, page by page.

There is one (https://devcenter.heroku.com/articles/platform-api-for-partners), its shape is not published. So it is
read tolerantly, but never guessed at: what cannot be understood is an error, for a list that was read wrongly would
make every resource look as if Heroku did not know it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized

_log = structlog.get_logger(__name__)

# Where a list may lie in an object, and where in an entry the add-on's id is looked for, the surest place first.
_LISTS: Final = ("addons", "apps", "installs", "resources", "data")
_IDS: Final = (
    ("uuid",),
    ("resource_uuid",),
    ("addon", "uuid"),
    ("addon", "id"),
    ("resource", "uuid"),
    ("resource", "id"),
    ("callback_url",),
    ("provider_id",),
    ("id",),
)
_LONGEST_WORD: Final = 100
_TRIES: Final = 4
_LONGEST_PAUSE: Final = timedelta(minutes=1)

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Install:
    """One entry: an add-on's uuid, with the slug of its plan and its state where Heroku tells them."""

    uuid: UUID
    plan: str | None
    state: str | None


async def listed(context: Context, *, pause: Pause) -> AsyncIterator[list[Install]]:
    """The whole list, a page at a time.

    Args:
        context: as everywhere.
        pause: waits so many seconds before a page is asked for again.

    Raises:
        Refused: the list is not to be had, or cannot be understood; the message says what to do.
        Retry: Heroku did not answer, also not when asked again.
    """
    passwords = [context.settings.addon_password, context.settings.addon_password_previous]
    usable = [password.get_secret_value() for password in passwords if password is not None]
    page: str | None = f"{context.settings.heroku_addons_url}/api/v3/apps"
    seen: set[str] = set()
    while page is not None:
        if page in seen:
            raise Refused("Heroku's list of installs goes round in a circle: it cannot be read.")
        seen.add(page)
        body, page = await _page(context, page, usable, pause)
        yield list(read_page(body))


async def _page(context: Context, url: str, passwords: list[str], pause: Pause) -> tuple[Any, str | None]:
    """A page; a password that Heroku does not take is left out from then on: the other one is in force there."""
    tries = 0
    while True:
        try:
            return await context.heroku.installs(url, slug=context.manifest.id, password=passwords[0])
        except Unauthorized:
            if len(passwords) == 1:
                raise Refused(
                    "Heroku does not give us its list of installs: it takes neither ADDON_PASSWORD nor a previous one. "
                    "Is it the api.password of the manifest that was pushed last?"
                ) from None
            del passwords[0]
        except Gone:
            raise Refused("Heroku has no list of installs where we look for it. Check HEROKU_ADDONS_URL.") from None
        except Retry as retry:
            tries += 1
            if tries == _TRIES:
                raise
            _log.info("the list of installs is asked for again", reason=str(retry))
            await pause(2.0**tries if retry.after is None else min(retry.after, _LONGEST_PAUSE).total_seconds())


def read_page(body: Any) -> Iterator[Install]:
    """The entries of one page.

    Raises:
        Refused: it is no list, or an entry does not say which add-on it is; names of fields are told, never values.
    """
    entries = body
    if isinstance(body, dict):
        entries = next((body[name] for name in _LISTS if isinstance(body.get(name), list)), None)
    if not isinstance(entries, list):
        what = f"an object with {_names(body)}" if isinstance(body, dict) else f"a {type(body).__name__}"
        raise Refused(f"Heroku's list of installs is not a list but {what}: nothing was compared.")
    for number, entry in enumerate(entries, 1):
        uuid = _uuid_of(entry)
        if uuid is None:
            what = f"only {_names(entry)}" if isinstance(entry, dict) else f"a {type(entry).__name__}"
            raise Refused(
                f"Entry {number} of a page of Heroku's list of installs does not say which add-on it is (there is "
                f"{what}): nothing was compared."
            )
        plan = _word(entry, "plan")
        yield Install(uuid, None if plan is None else plan.rpartition(":")[2], _word(entry, "state"))


def _uuid_of(entry: Any) -> UUID | None:
    for path in _IDS:
        found = entry
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        try:
            return UUID(str(found).rstrip("/").rpartition("/")[2])
        except ValueError:
            continue
    return None


def _word(entry: Any, name: str) -> str | None:
    """A text that stands in the entry, in its add-on, or as the name of an object."""
    for holder in (entry, entry.get("addon"), entry.get("resource")):
        found = holder.get(name) if isinstance(holder, dict) else None
        found = found.get("name") if isinstance(found, dict) else found
        if isinstance(found, str) and found.isprintable() and found:
            return found[:_LONGEST_WORD]
    return None


def _names(entry: dict[Any, Any]) -> str:
    names = [str(name)[:40] for name in list(entry)[:10]]
    return ", ".join(name for name in names if name.isprintable()) or "nothing"
