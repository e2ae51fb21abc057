"""Paging of lists by the Range header, in every spelling that Heroku's clients send.

https://devcenter.heroku.com/articles/platform-api-reference#ranges: `Range: id ..; max=200`, `name ]from..to`,
`version ..; max=10, order=desc`. A list that goes on is answered 206 with `Next-Range`, which the client sends back.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from app.simulator.errors import HerokuError

_RANGE = re.compile(
    r"\s*(?P<key>\w+)\s+(?P<after>\]?)(?P<start>[^;]*?)\.\.(?P<end>[^;\]]*)(?P<until>\]?)\s*(?:;(?P<rest>.*))?"
)
# No number has more digits: Python itself refuses to read one that is thousands of digits long.
_MAX = re.compile(r"0*[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_USUAL_MAX = 200
_HIGHEST_MAX = 1000


@dataclass(frozen=True)
class Page:
    """One page of a list, and the headers that describe it."""

    items: list[dict[str, Any]]
    headers: dict[str, str]

    @property
    def status(self) -> int:
        return 206 if "Next-Range" in self.headers else 200


@dataclass(frozen=True)
class _Asked:
    key: str
    is_after: bool = False
    start: str = ""
    end: str = ""
    is_before: bool = False
    most: int = _USUAL_MAX
    is_descending: bool = False


def page_of(items: Sequence[dict[str, Any]], header: str | None, keys: Sequence[str]) -> Page:
    """Cut the page that a Range header asks for; `keys` are the fields a list may be ordered by, the usual one first.

    Raises 416 for a range that cannot be read or names another field.
    """
    asked = _read(header, keys) if header else _Asked(keys[0])
    found = [item for item in items if _is_within(item[asked.key], asked)]
    if header or len(found) > asked.most:  # what fits on one page that nobody ordered keeps its natural order
        found.sort(key=lambda item: _rank(item[asked.key]), reverse=asked.is_descending)
    page = found[: asked.most]
    # Equal values stay on one page, even a longer one: the next range begins after their value.
    page += [item for item in found[asked.most :] if item[asked.key] == page[-1][asked.key]]
    headers = {"Accept-Ranges": ", ".join(keys)}
    order = ", order=desc" if asked.is_descending else ""
    span = f"{_spelled(page[0][asked.key])}..{_spelled(page[-1][asked.key])}" if page else ".."
    headers["Content-Range"] = f"{asked.key} {span}; max={asked.most}{order}"
    if len(found) > len(page) and page:
        end = f"{_spelled(asked.end)}{']' if asked.is_before else ''}"
        headers["Next-Range"] = f"{asked.key} ]{_spelled(page[-1][asked.key])}..{end}; max={asked.most}{order}"
    return Page(page, headers)


def _read(header: str, keys: Sequence[str]) -> _Asked:
    found = _RANGE.fullmatch(header)
    if found is not None and found["key"] == "id" and "id" not in keys:
        # Some clients send `id ..; max=1000` with every call, also for what has no id.
        return _Asked(keys[0])
    if found is None or found["key"] not in keys:
        raise _unsatisfiable(f"The Range header must order by one of {', '.join(keys)}, as in `{keys[0]} ..; max=200`.")
    most, is_descending = _USUAL_MAX, False
    for part in re.split("[;,]", found["rest"] or ""):
        name, _, value = (text.strip() for text in part.partition("="))
        if name == "max" and _MAX.fullmatch(value):
            most = min(int(value), _HIGHEST_MAX)
        elif name == "order" and value in {"asc", "desc"}:
            is_descending = value == "desc"
        elif name:
            raise _unsatisfiable(
                f"The Range header's {name} cannot be read: it takes max=1 to 1000 and order=asc or desc."
            )
    return _Asked(
        found["key"],
        is_after=bool(found["after"]),
        start=unquote(found["start"].strip()),
        end=unquote(found["end"].strip()),
        is_before=bool(found["until"]),
        most=most,
        is_descending=is_descending,
    )


def _is_within(value: Any, asked: _Asked) -> bool:
    if asked.start and not _is_in_order(asked.start, value, asked, may_equal=not asked.is_after):
        return False
    return not asked.end or _is_in_order(value, asked.end, asked, may_equal=not asked.is_before)


def _is_in_order(first: Any, second: Any, asked: _Asked, *, may_equal: bool) -> bool:
    one, other = _rank(first), _rank(second)
    if one == other:
        return may_equal
    return one > other if asked.is_descending else one < other


def _spelled(value: Any) -> str:
    """Write a value as a header can carry it: what people name is theirs to choose, line ends and dots included."""
    return quote(str(value), safe=" :@+").replace("..", "%2E%2E")


def _rank(value: Any) -> tuple[int, int, str]:
    """Order numbers as numbers, whether they come from an item or as text from a header."""
    text = str(value)
    return (0, int(text), "") if _NUMBER.fullmatch(text) else (1, 0, text)


def _unsatisfiable(message: str) -> HerokuError:
    return HerokuError(416, "requested_range_not_satisfiable", message)
