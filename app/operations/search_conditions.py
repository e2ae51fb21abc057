"""What the words of a search mean in the database; each condition is one that an index answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.operations.found import RECENTLY, SOON
from app.operations.search_words import Query, Word, hex_digits, uuid_range
from app.resources.models import Resource, State

_TEXT_COLUMNS: Final = {
    "name": Resource.name,
    "app": Resource.app_name,
    "owner": Resource.owner_email,
    "error": Resource.last_error,
}
# Columns with few values; each is the beginning of an index that goes on with the key.
_CHOICES: Final[Mapping[str, InstrumentedAttribute[Any]]] = {
    "plan": Resource.plan,
    "region": Resource.region,
    "state": Resource.state,
}
_MOST_PATHS: Final = 8
# What the index of trigrams can look up inside a text: three letters or digits, or two at the beginning of a word.
_RUN: Final = re.compile(r"[a-z0-9]{3}|[^a-z0-9][a-z0-9]{2}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Way:
    """One way into the rows: along the index of `path`, a column and its value, or along that of all rows, for those
    that satisfy `filters`.
    """

    path: tuple[InstrumentedAttribute[Any], Any] | None
    filters: Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways that together lead to everything a query is about.

    Attributes:
        together: everything, in one way; None if there is none but the single ones.
        single: each leads to a part, and they may overlap. None at all: nothing can match.
    """

    together: Way | None
    single: Sequence[Way]


async def ways(session: AsyncSession, query: Query, now: datetime) -> Ways:
    """How to find what a query is about."""
    values = await _values(session, query.words)
    paths: list[tuple[InstrumentedAttribute[Any], Any]] = []
    filters: list[ColumnElement[bool]] = []
    for key, column in _CHOICES.items():
        for word in query.words:
            if word.key != key:
                continue
            wanted = _chosen(values[key], word.value)
            if not wanted:
                return Ways(None, ())
            if paths or len(wanted) > _MOST_PATHS:
                filters.append(column.in_(wanted))
            else:
                paths = [(column, value) for value in wanted]
    filters += [_condition(word, now) for word in query.words if word.key not in {"", "created", *_CHOICES}]
    free = [word for word in query.words if not word.key]
    anywhere = [or_(_in_text(word), *_in_choices(word, values)) for word in free]
    if paths:
        return Ways(None, [Way(path, [*filters, *anywhere]) for path in paths])
    everything = Way(None, [*filters, *anywhere])
    for position, word in enumerate(free):
        if _in_choices(word, values):
            others = [*filters, *anywhere[:position], *anywhere[position + 1 :]]
            choices = [
                (column, value) for key, column in _CHOICES.items() for value in _containing(values[key], word.value)
            ]
            if len(choices) <= _MOST_PATHS:
                return Ways(everything, [Way(None, [_in_text(word), *others]), *(Way(c, others) for c in choices)])
    return Ways(None, [everything])


async def _values(session: AsyncSession, words: Sequence[Word]) -> dict[str, list[Any]]:
    """What there is to choose from in the columns with few values that the words may mean."""
    values: dict[str, list[Any]] = {"state": list(State)}
    for name in ("plan", "region"):
        if any(word.key in {"", name} for word in words):
            values[name] = list(await session.scalars(_DISTINCT[name]))
    return values


# One probe of the index for each value, rather than a look at every row.
_DISTINCT: Final = {
    name: text(f"""
        WITH RECURSIVE value (v) AS (
            (SELECT {name} FROM resources ORDER BY {name} LIMIT 1)
            UNION ALL
            SELECT (SELECT {name} FROM resources WHERE {name} > v ORDER BY {name} LIMIT 1)
            FROM value WHERE v IS NOT NULL
        )
        SELECT v FROM value WHERE v IS NOT NULL LIMIT 500
    """)  # noqa: S608 - two fixed names # nosec B608
    for name in ("plan", "region")
}


def _chosen(values: Sequence[Any], wanted: str) -> list[Any]:
    """The value that is exactly so, else those that contain it."""
    return [value for value in values if value.lower() == wanted.lower()] or _containing(values, wanted)


def _containing(values: Sequence[Any], wanted: str) -> list[Any]:
    return [value for value in values if wanted.lower() in value.lower()]


def _condition(word: Word, now: datetime) -> ColumnElement[bool]:
    match word.key:
        case "is":
            return _is(word.value, now)
        case "uuid":
            return Resource.uuid.between(*uuid_range(hex_digits(word.value, shortest=1) or ""))
        case name:
            return _contains(_TEXT_COLUMNS[name], word.value)


def _in_text(word: Word) -> ColumnElement[bool]:
    fields = [_contains(column, word.value) for column in _TEXT_COLUMNS.values()]
    if digits := hex_digits(word.value):
        fields.append(Resource.uuid.between(*uuid_range(digits)))
    return or_(*fields)


def _in_choices(word: Word, values: Mapping[str, Sequence[Any]]) -> list[ColumnElement[bool]]:
    found = {key: _containing(values[key], word.value) for key in _CHOICES}
    return [_CHOICES[key].in_(wanted) for key, wanted in found.items() if wanted]


def _contains(column: Any, word: str) -> ColumnElement[bool]:
    """What the index cannot look up inside a text must begin it: otherwise every row would be looked at."""
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    condition: ColumnElement[bool] = column.ilike(f"%{escaped}%" if _RUN.search(word) else f"{escaped}%")
    return condition


def _is(condition: str, now: datetime) -> ColumnElement[bool]:
    """Each is the condition of a partial index, so that what is rare is found at once."""
    is_here = Resource.state != State.DEPROVISIONED
    simple: dict[str, ColumnElement[bool]] = {
        "failing": Resource.failures > 0,
        "error": Resource.last_error_at.is_not(None),
        "suspended": Resource.suspended_at.is_not(None),
        "waiting-push": and_(Resource.config_version > Resource.pushed_version, is_here),
        "token-refused": and_(Resource.tokens_refused_at.is_not(None), is_here),
        "unknown-to-heroku": and_(Resource.unknown_to_heroku_at.is_not(None), is_here),
        "rotating": or_(
            Resource.rotation_requested_at.is_not(None),
            Resource.rotated_at.is_not(None),
            Resource.retire_at.is_not(None),
        ),
        "over-quota": and_(Resource.over_quota_at.is_not(None), is_here),
        "read-only": and_(Resource.read_only_at.is_not(None), is_here),
        "kept": Resource.kept_until.is_not(None),
    }
    if condition != "attention":
        return simple[condition]
    recent_error = and_(Resource.last_error_at > now - RECENTLY, is_here)
    return or_(
        *(simple[name] for name in ("failing", "token-refused", "unknown-to-heroku", "over-quota", "read-only")),
        recent_error,
        Resource.suspension_waits_since < now - SOON,
    )
