"""Lines of an app's log as Heroku's Logplex sends them to a drain: syslog messages, each with its length before it.

https://devcenter.heroku.com/articles/log-drains. A length counts bytes, and nothing stands between two messages. They
lack the field of structured data that RFC 5424 wants, so readers of strict syslog read them wrongly.
"""

from datetime import UTC, datetime
from typing import Final

from app.drivers.base import LogLine

# Ten times what Logplex keeps for one drain.
MOST_LINES: Final = 10_000
_LONGEST_LENGTH: Final = 7
_HIGHEST_PRIORITY: Final = 191
# What RFC 3164 has for a message that does not say: user, notice.
_UNTOLD_PRIORITY: Final = 13
_LONGEST_TIME: Final = 40


class BadLines(ValueError):
    """The bytes are not frames. The message says where and repeats nothing of them."""


def read_lines(body: bytes) -> list[LogLine]:
    """All lines of a request, in order.

    Raises:
        BadLines: a length is missing or wrong, or there are more than `MOST_LINES`. Nothing of it can be trusted then.
    """
    lines: list[LogLine] = []
    place = 0
    while place < len(body):
        if len(lines) == MOST_LINES:
            raise BadLines(f"There are more than {MOST_LINES} messages.")
        space = body.find(b" ", place, place + _LONGEST_LENGTH + 1)
        digits = body[place:space] if space > place else b""
        if not digits.isdigit() or digits.startswith(b"0"):
            raise BadLines(f"Message {len(lines) + 1} has no length before it.")
        start, place = space + 1, space + 1 + int(digits)
        if place > len(body):
            raise BadLines(f"Message {len(lines) + 1} is shorter than its length.")
        lines.append(read_line(body[start:place]))
    return lines


def read_line(message: bytes) -> LogLine:
    """One message; of one that is not syslog all is text, and nothing else is known."""
    # <priority>1 time host source process id text
    head, *parts = message.split(b" ", 6)
    priority = _priority(head)
    if priority is None or len(parts) < 5:
        return LogLine(at=None, priority=_UNTOLD_PRIORITY, source="", process="", text=_text(message))
    return LogLine(
        at=_time(parts[0]),
        priority=priority,
        source=_text(parts[2]),
        process=_text(parts[3]),
        text=_text(parts[5]) if len(parts) > 5 else "",
    )


def _priority(head: bytes) -> int | None:
    digits = head.removeprefix(b"<").removesuffix(b">1")
    if len(digits) != len(head) - 3 or not digits.isdigit() or len(digits) > 3:
        return None
    return int(digits) if int(digits) <= _HIGHEST_PRIORITY else None


def _time(text: bytes) -> datetime | None:
    try:
        at = datetime.fromisoformat(text[:_LONGEST_TIME].decode("ascii"))
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (OverflowError, ValueError):  # the first at either end of time, which an offset may cross
        return None


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").removesuffix("\n")
