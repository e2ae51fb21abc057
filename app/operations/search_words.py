"""What an operator may type to find resources: free words, and words such as `plan:standard`; all of them must hold."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from app.errors import Refused

LONGEST_TEXT: Final = 300
_MOST_WORDS: Final = 12
_SHORTEST_UUID_BEGINNING: Final = 4

KEYS: Final = ("name", "app", "owner", "plan", "region", "state", "error", "uuid", "created", "is")
_TEXT_KEYS: Final = ("", "name", "app", "owner", "error")
CONDITIONS: Final = (
    "attention",
    "failing",
    "error",
    "suspended",
    "waiting-push",
    "token-refused",
    "unknown-to-heroku",
    "rotating",
    "over-quota",
    "read-only",
    "kept",
)

_WORD: Final = re.compile(
    r'(?:(?P<key>[a-z-]+):(?!:))?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))(?=\s|$)', re.IGNORECASE
)
_BARE_KEY: Final = re.compile(r"(?P<key>[a-z-]+):(?=\s|$)", re.IGNORECASE)
_DAY: Final = re.compile(r"([12]\d{3})(?:-(\d{2})(?:-(\d{2}))?)?")
# A space ends a word, and a colon after letters makes it a key.
_NEEDS_QUOTES: Final = re.compile(r"\s|^[a-z-]+:(?!:)", re.IGNORECASE)
_LETTER: Final = re.compile(r"[a-z0-9]", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that must hold. `key` is one of `KEYS`, or "" for a word that any field may contain."""

    key: str
    value: str

    def __str__(self) -> str:
        """As it is typed."""
        value = f'"{self.value}"' if not self.value or _NEEDS_QUOTES.search(self.value) else self.value
        return f"{self.key}:{value}" if self.key else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search that was understood.

    Attributes:
        text: as it was typed, without what cannot be seen.
        words: all of them must hold; none: everything.
        created_from: inclusive.
        created_before: exclusive.
    """

    text: str
    words: tuple[Word, ...]
    created_from: datetime | None = None
    created_before: datetime | None = None

    @property
    def uuid_beginning(self) -> str | None:
        """The hexadecimal digits, if the search is for nothing else than a uuid or its beginning."""
        if len(self.words) != 1 or self.words[0].key not in {"", "uuid"}:
            return None
        return hex_digits(self.words[0].value, shortest=1 if self.words[0].key else _SHORTEST_UUID_BEGINNING)

    def chosen(self, key: str) -> str | None:
        """What the first word with this key says."""
        return next((word.value for word in self.words if word.key == key), None)

    def choosing(self, key: str, value: str | None) -> str:
        """The text of the search that says this of `key` and is otherwise the same; None: that says nothing of it."""
        words = [str(word) for word in self.words if word.key != key]
        return " ".join(words if value is None else [*words, str(Word(key, value))])


def parse(text: str) -> Query:
    """Understand what was typed.

    Raises:
        Refused: a sentence about what was not understood.
    """
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(text) > LONGEST_TEXT:
        raise Refused(f"A search has at most {LONGEST_TEXT} characters.")
    words: list[Word] = []
    created_from = created_before = None
    for word in _words(text):
        if word.key == "created":
            begin, end = _span(word.value)
            created_from = max(filter(None, (created_from, begin)), default=None)
            created_before = min(filter(None, (created_before, end)), default=None)
        if word not in words:
            words.append(word)
    if len(words) > _MOST_WORDS:
        raise Refused(f"A search has at most {_MOST_WORDS} words.")
    return Query(text=text, words=tuple(words), created_from=created_from, created_before=created_before)


def hex_digits(text: str, *, shortest: int = _SHORTEST_UUID_BEGINNING) -> str | None:
    """The digits of a uuid or of its beginning, without dashes; None if it can be neither."""
    digits = text.lower().replace("-", "")
    if not _HEX.fullmatch(digits) or len(digits) < shortest:
        return None
    full = str(UUID(digits.ljust(32, "0")))
    is_dashed_right = full.startswith(text.lower().rstrip("-"))
    return digits if is_dashed_right or text.lower() == digits else None


def uuid_range(digits: str) -> tuple[UUID, UUID]:
    """The first and the last uuid that begin with these digits."""
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _words(text: str) -> list[Word]:
    words = []
    position = 0
    while position < len(text):
        if bare := _BARE_KEY.match(text, position):
            raise Refused(f"After {bare['key']}: there is nothing to look for; write it without a space.")
        found = _WORD.match(text, position)
        if found is None:
            raise Refused('A quotation mark is missing; quoted words look like error:"connection refused".')
        value = (found["plain"] if found["quoted"] is None else found["quoted"]).strip()
        words.append(_checked((found["key"] or "").lower(), value))
        position = found.end() + 1
    return words


def _checked(key: str, value: str) -> Word:
    if key and key not in KEYS:
        raise Refused(
            f"There is no {key}: to search by. There are {', '.join(f'{known}:' for known in KEYS)}; "
            f'to look for the text itself, quote it: "{key}:{value}".'
        )
    if not value:
        raise Refused("Two quotation marks without a word between them find nothing; write a word or leave them out.")
    if key in _TEXT_KEYS and not _LETTER.search(value):
        raise Refused(f"{value} has neither a digit nor a letter from a to z; write some of the text around it.")
    if key == "is":
        value = value.lower()
        if value not in CONDITIONS:
            raise Refused(f"A resource is never {value}. There are {', '.join(f'is:{known}' for known in CONDITIONS)}.")
    if key == "uuid" and hex_digits(value, shortest=1) is None:
        raise Refused(f"{value} is not the beginning of a uuid.")
    return Word(key, value)


def _span(text: str) -> tuple[datetime | None, datetime | None]:
    """From and before: of a year, a month or a day, or between two of them, either of which may be left out; in UTC."""
    first, dots, last = text.partition("..")
    if not dots:
        return _period(first)
    if not first and not last:
        raise Refused("Say since when or until when: created:2026-10..2026-11, created:2026-10.. or created:..2026-11.")
    return _period(first)[0] if first else None, _period(last)[1] if last else None


def _period(text: str) -> tuple[datetime, datetime]:
    found = _DAY.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)  # noqa: TRY301 - the same sentence for every way to be no date
        year, month, day = (int(part) if part else None for part in found.groups())
        begin = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
        if day:
            return begin, begin + timedelta(days=1)
        days = (
            monthrange(begin.year, begin.month)[1]
            if month
            else (datetime(begin.year, 12, 31, tzinfo=UTC) - begin).days + 1
        )
        return begin, begin + timedelta(days=days)
    except (ValueError, OverflowError):
        raise Refused(f"{text} is no date. Write a year, a month or a day: 2026, 2026-11 or 2026-11-21.") from None
