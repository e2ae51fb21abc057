"""Periods that figures are about: whole days in somebody's time zone, cut into steps for charts and tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from app.errors import Refused

# What the period's name in an address means, in days that end today.
PRESETS: Final[Mapping[str, tuple[str, int]]] = {
    "today": ("Today", 1),
    "7": ("7 days", 7),
    "30": ("30 days", 30),
    "90": ("90 days", 90),
    "365": ("A year", 365),
}
USUAL: Final = "30"
_EARLIEST: Final = date(2000, 1, 1)
# Up to so many days a step is an hour, a day, a week; then a month.
_HOURS_UP_TO, _DAYS_UP_TO, _WEEKS_UP_TO = 2, 92, 731


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From the first moment of a day to the last one of another, or to the present hour.

    Attributes:
        first: its first day, in `zone`.
        last: its last day, inclusive.
        unit: what a step is: hour, day, week or month; the first and the last may be shorter.
        bounds: where each step begins, in UTC, and where the last one ends.
        zone: whose days these are.
        preset: a key of `PRESETS`, or "" for days that somebody chose.
    """

    first: date
    last: date
    unit: str
    bounds: tuple[datetime, ...]
    zone: ZoneInfo
    preset: str

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return self.bounds[0]

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return self.bounds[-1]

    @property
    def spans(self) -> Sequence[tuple[datetime, datetime]]:
        """Begin and end of each step."""
        return list(pairwise(self.bounds))

    @property
    def words(self) -> dict[str, str]:
        """What `read_period` makes it of again, such as in an address."""
        return {"period": self.preset} if self.preset else {"from": str(self.first), "to": str(self.last)}

    @property
    def steps(self) -> list[str]:
        """What each step is called, for people."""
        return [self._label(at.astimezone(self.zone)) for at in self.bounds[:-1]]

    @property
    def iso_steps(self) -> list[str]:
        """When each step begins, for programs."""
        here = [at.astimezone(self.zone) for at in self.bounds[:-1]]
        return [f"{at:%Y-%m-%dT%H:%M}" if self.unit == "hour" else f"{at:%Y-%m-%d}" for at in here]

    def _label(self, at: datetime) -> str:
        match self.unit:
            case "hour":
                return f"{at:%H:%M}" if self.first == self.last else f"{at:%d %b %H:%M}".lstrip("0")
            case "month":
                return f"{at:%b %Y}"
            case _:
                year = f" {at:%y}" if self.first.year != self.last.year else ""
                return f"{at:%d %b}".lstrip("0") + year


def read_period(words: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Period:
    """The period of `period` (a key of `PRESETS`), or of the days `from` and `to`; without any, the usual one.

    Raises:
        Refused: there is no such period.
    """
    today = now.astimezone(zone).date()
    begin, end = words.get("from", "").strip(), words.get("to", "").strip()
    if begin or end:
        last = _day(end) if end else today
        first = _day(begin) if begin else last
        if first > last:
            raise Refused("The period ends before it begins.")
        if first > today or first < _EARLIEST:
            raise Refused("Nothing was counted at that time.")
        return _period(first, min(last, today), zone, now, "")
    preset = words.get("period", "") or USUAL
    if preset not in PRESETS:
        raise Refused(f"Choose one of the periods {', '.join(PRESETS)}, or a first and a last day.")
    return _period(today - timedelta(days=PRESETS[preset][1] - 1), today, zone, now, preset)


def usual_period(zone: ZoneInfo, now: datetime) -> Period:
    """The one that is shown when nobody has chosen."""
    return read_period({}, zone, now)


def _day(word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise Refused("Write a day as 2026-11-30.") from None


def _period(first: date, last: date, zone: ZoneInfo, now: datetime, preset: str) -> Period:
    days = (last - first).days + 1
    units = {"hour": _HOURS_UP_TO, "day": _DAYS_UP_TO, "week": _WEEKS_UP_TO}
    unit = next((unit for unit, longest in units.items() if days <= longest), "month")
    end = _midnight(last + timedelta(days=1), zone)
    if unit == "hour":
        starts = list(_hours(_midnight(first, zone), min(end - timedelta.resolution, now)))
        end = min(end, starts[-1] + timedelta(hours=1))
    else:
        starts = [_midnight(day, zone) for day in _days(first, last) if day == first or _begins(day, unit)]
    return Period(first=first, last=last, unit=unit, bounds=(*starts, end), zone=zone, preset=preset)


def _begins(day: date, unit: str) -> bool:
    return {"day": True, "week": day.weekday() == 0, "month": day.day == 1}[unit]


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _hours(since: datetime, until: datetime) -> Iterator[datetime]:
    at = since
    while at <= until:
        yield at
        at += timedelta(hours=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
