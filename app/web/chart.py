"""How much is used, as a bar and a small line chart: numbers for an SVG, worked out here so that no style is inline.

The drawing is 100 units wide and 100 high, y pointing down as in SVG; the page stretches it to its own size.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from app.resources.history import Hour, Usage
from app.resources.usage import MEMORY

# A longer silence than this is a hole in the line, not a straight piece of it.
_LONGEST_STEP: Final = timedelta(hours=3)
_HEADROOM: Final = 1.2
# The limit is drawn once it comes into sight; far above a low line, it would only press that line to the ground.
_LIMIT_IN_SIGHT: Final = 0.4
_NEARLY_FULL: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What to draw.

    Attributes:
        lines: each an SVG `points` list, left to right; a hole in the readings parts them.
        areas: what lies under each line, the same way.
        top: the value at the upper edge; the lower edge is 0.
        limit_y: where the limit's line is, or None if it is above the upper edge.
        lowest: of all the values shown.
        highest: of all the values shown.
        days: the highest value of each day in UTC, newest first: the same chart as a table.
    """

    lines: tuple[str, ...]
    areas: tuple[str, ...]
    top: int
    limit_y: float | None
    lowest: int
    highest: int
    days: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One measure on a page: how full, and how it came to that."""

    usage: Usage
    percent: float
    level: str
    chart: Chart | None


def bar(usage: Usage, now: datetime) -> Bar:
    """What to draw of one measure, with the chart of the time for which readings are kept."""
    used, limit = usage.newest.used, usage.newest.limit
    share = used / limit if limit > 0 else 1.0
    level = "bad" if share > 1 else "warn" if share >= _NEARLY_FULL else "good"
    chart = draw(usage.hours, limit=limit, since=now - MEMORY, until=now)
    return Bar(usage=usage, percent=share * 100, level=level, chart=chart)


def draw(hours: Sequence[Hour], *, limit: int, since: datetime, until: datetime) -> Chart | None:
    """The chart of `hours` (oldest first) from `since` to `until`; None while there is too little for a line."""
    if len(hours) < 2:
        return None
    highest = max(hour.used for hour in hours)
    is_limit_seen = highest == 0 or highest >= limit * _LIMIT_IN_SIGHT
    top = max(1, math.ceil(max(highest, limit if is_limit_seen else 0) * _HEADROOM))

    def x(at: datetime) -> float:
        return min(100.0, max(0.0, (at - since) / (until - since) * 100))

    def y(value: int) -> float:
        return round(100 - value / top * 100, 2)

    parts = [[(x(hour.begun_at), y(hour.used)) for hour in part] for part in _unbroken(hours)]
    days: dict[date, int] = {}
    for hour in hours:
        day = hour.begun_at.date()
        days[day] = max(days.get(day, 0), hour.used)
    return Chart(
        lines=tuple(_points(part) for part in parts),
        areas=tuple(_points([(part[0][0], 100.0), *part, (part[-1][0], 100.0)]) for part in parts),
        top=top,
        limit_y=y(limit) if is_limit_seen else None,
        lowest=min(hour.used for hour in hours),
        highest=highest,
        days=tuple(sorted(days.items(), reverse=True)),
    )


def _unbroken(hours: Sequence[Hour]) -> Iterator[Sequence[Hour]]:
    """The pieces between the holes. A lonely hour gets a twin, so that it shows as a dot."""
    begin = 0
    for end in range(1, len(hours) + 1):
        if end == len(hours) or hours[end].begun_at - hours[end - 1].begun_at > _LONGEST_STEP:
            yield hours[begin:end] if end - begin > 1 else [hours[begin]] * 2
            begin = end


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
