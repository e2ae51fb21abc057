"""What Heroku answers, and how that is read: it may be of any shape, and nothing is believed without a look."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from uuid import UUID

import httpx2

from app.errors import Refused, Retry

_LONGEST_WAIT: Final = timedelta(hours=1)
_LONGEST_WORDS: Final = 254
# OAuth lets the life of a token go untold. The grant is spent by then, so the token must not be thrown away for it.
_UNTOLD_LIFE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonInfo:
    """An add-on as Heroku describes it; None for what it does not say."""

    name: str | None
    state: str | None
    plan: str | None
    app_id: UUID | None
    app_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An add-on's place on an app, under its name there."""

    id: str
    app: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What an add-on wants to be told by webhooks, and where; `id` is Heroku's, None for one that is wanted.

    https://devcenter.heroku.com/articles/addon-webhooks
    """

    url: str
    include: frozenset[str]
    level: str
    id: UUID | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the token endpoint answers: the access token's life, and a refresh token, which may be a new one."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: timedelta


def tokens_of(answer: Any) -> Tokens:
    """Of the token endpoint.

    Raises:
        Retry: it is something else.
    """
    try:
        refresh_token, seconds = answer.get("refresh_token"), answer.get("expires_in")
        return Tokens(
            access_token=token_text(answer["access_token"]),
            refresh_token=None if refresh_token is None else token_text(refresh_token),
            expires_in=_UNTOLD_LIFE if seconds is None else timedelta(seconds=int(seconds)),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise Retry("Heroku's token endpoint answered something that is not a token") from None


def token_text(value: object) -> str:
    """A token: it has to fit into a header."""
    if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable()):
        raise TypeError
    return value


def json_of(response: httpx2.Response) -> Any:
    """Its JSON; None for an empty body, and for what is no JSON."""
    try:
        return response.json() if response.content else None
    except (ValueError, RecursionError):  # the second for what is nested too deep
        return None


def words(found: Any, *names: str) -> str | None:
    """The text that lies under these names, in an answer that may be of any shape."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found[:_LONGEST_WORDS] if isinstance(found, str) and found.isprintable() else None


def uuid_of(text: str | None) -> UUID | None:
    """The uuid, if it is one."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def next_page(url: str, response: httpx2.Response) -> str | None:
    """Where a list goes on; None at its end.

    Raises:
        Refused: it does not end here and does not say where it goes on, or at another host.
    """
    link = response.links.get("next", {}).get("url")
    if link is None and response.status_code != 206:
        return None
    with suppress(httpx2.InvalidURL):
        there = str(httpx2.URL(url).join(link)) if link is not None else ""
        if there.startswith(f"{url.partition('/api/')[0]}/"):
            return there
    raise Refused("Heroku's list does not say where it goes on, or leads to another host.")


def message_of(response: httpx2.Response) -> str:
    """Heroku's own words about a refusal, for operators: such that they can be stored, and shown anywhere."""
    answer = json_of(response)
    message = answer.get("message") if isinstance(answer, dict) else None
    return (
        "".join(letter if letter.isprintable() else " " for letter in str(message)[:500]) if message else "no message"
    )


def retry_after(response: httpx2.Response) -> timedelta | None:
    """How long `Retry-After` asks us to wait, given in seconds or as a date; never more than an hour."""
    value = response.headers.get("Retry-After", "")
    try:
        wait = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)
        except (OverflowError, TypeError, ValueError):
            return None
    return min(max(wait, timedelta(0)), _LONGEST_WAIT)


def list_of(found: Any) -> list[Any]:
    """A list, or an empty one for whatever is none."""
    return found if isinstance(found, list) else []
