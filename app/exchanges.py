"""What Heroku and we say to each other, on its way into the table `exchanges`.

Noting an exchange is an append in memory, so that neither Heroku nor a job waits for it; `operations/exchanges.py`
writes what was noted, once a second. Only what is allowed by name is noted: names, plans, regions, messages. No value
of a config var or an option, no grant, no token.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from app.log import hide_in_text

# At a few hundred bytes each: what a busy second brings, and what may pile up while the database is away.
MOST_WAITING: Final = 5_000
_LONGEST_TEXT: Final = 500
_LONGEST_LIST: Final = 50
# Whatever is shorter is no secret, and hiding it would only make a message unreadable.
_SHORTEST_SECRET: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer, as far as anybody may read it.

    Attributes:
        uuid: of the resource it was about.
        direction: "in" when Heroku asked us, "out" when we asked Heroku.
        method: of HTTP.
        path: without its query string.
        status: None when there was no answer.
        milliseconds: from the request to the answer.
        request_id: Heroku's id of it, or ours.
        request: facts of the request's body that may be read.
        answer: facts of the answer's body that may be read.
    """

    uuid: UUID
    direction: Literal["in", "out"]
    method: str
    path: str
    status: int | None
    milliseconds: float
    request_id: str | None = None
    request: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None


class ExchangeBuffer:
    """Exchanges that wait to be written, with the time of each. When there are too many, the oldest are dropped."""

    def __init__(self, clock: Callable[[], datetime], *, most: int = MOST_WAITING) -> None:
        self._clock = clock
        self._waiting: deque[tuple[datetime, Exchange]] = deque(maxlen=most)
        self._dropped = 0

    def note(self, exchange: Exchange) -> None:
        """Keep it until it is written."""
        self._make_room()
        self._waiting.append((self._clock(), exchange))

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self) -> tuple[list[tuple[datetime, Exchange]], int]:
        """All that waits, oldest first, and how many were dropped since the last time."""
        taken, dropped = list(self._waiting), self._dropped
        self._waiting.clear()
        self._dropped = 0
        return taken, dropped

    def give_back(self, taken: Iterable[tuple[datetime, Exchange]]) -> None:
        """What could not be written waits again, before what came meanwhile."""
        newer = list(self._waiting)
        self._waiting.clear()
        for each in (*taken, *newer):
            self._make_room()
            self._waiting.append(each)

    def _make_room(self) -> None:
        self._dropped += len(self._waiting) == self._waiting.maxlen


def readable(facts: Mapping[str, Any], *, secrets: Iterable[str | None] = ()) -> dict[str, Any]:
    """The facts as they may be kept: short, printable, and without any of `secrets`.

    Args:
        facts: texts, numbers and lists of them; anything else is left out.
        secrets: what travelled with them, and might be repeated in a message.
    """
    hidden = sorted((secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)
    found: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, str):
            found[name] = _text(value, hidden)
        elif isinstance(value, (int, float)):
            found[name] = value
        elif isinstance(value, list) and value:
            found[name] = [_text(str(one), hidden) for one in value[:_LONGEST_LIST]]
    return found


def _text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[hidden]")
    # The log's net, below the rule: what is shaped like a secret.
    shown = hide_in_text(text)[:_LONGEST_TEXT]
    return shown if shown.isprintable() else "".join(letter if letter.isprintable() else " " for letter in shown)
