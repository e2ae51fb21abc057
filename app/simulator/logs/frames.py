"""Log lines as bytes: syslog messages (RFC 5424), each with its length before it (RFC 6587), written and read.

https://devcenter.heroku.com/articles/log-drains and
https://devcenter.heroku.com/articles/writing-to-application-logs-as-a-partner: `<bytes> SP <message>`, one after the
other with nothing between. What Heroku sends by HTTP lacks one field, the structured data; what it gets must have it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from .lines import Line

MOST_LINE_BYTES = 10_000
_HIGHEST_PRIORITY = 191
_LENGTH = re.compile(rb"([1-9][0-9]{0,8}) ")
_HEAD = re.compile(
    rb"<(?P<priority>[0-9]{1,3})>1 (?P<at>\S+) (?P<host>\S+) (?P<app>\S+) (?P<process>\S+) (?P<id>\S+)"
    rb"(?P<data> (?:-|(?:\[(?:[^\]\\]|\\.)*\])+))?(?: (?P<text>.*))?",
    re.DOTALL,
)
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


class BadFrames(ValueError):
    """The bytes are no frames; the message says where and why."""


@dataclass(frozen=True)
class SyslogMessage:
    """One message as it came. `at` is None when the time cannot be read; `has_data` tells of structured data."""

    priority: int
    at: datetime | None
    app: str
    process: str
    text: str
    has_data: bool
    is_utf8: bool


def http_frame(line: Line) -> bytes:
    """Frame a line for an HTTP drain: no structured data, `host` for a host, and a line end that counts."""
    return _framed(f"<{line.priority}>1 {_moment(line.at)} host {line.source} {line.process} - {line.text}\n")


def tcp_frame(line: Line, token: str) -> bytes:
    """Frame a line for a syslog drain: whole RFC 5424, and the drain's token for a host."""
    return _framed(f"<{line.priority}>1 {_moment(line.at)} {token} {line.source} {line.process} - - {line.text}\n")


def _framed(message: str) -> bytes:
    content = message.encode("utf-8", "replace")
    return b"%d %s" % (len(content), content)


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def read_frames(body: bytes) -> list[bytes]:
    """Cut the body into its messages by their lengths; raises BadFrames."""
    messages: list[bytes] = []
    place = 0
    while place < len(body):
        found = _LENGTH.match(body, place)
        if found is None:
            raise BadFrames(f"Message {len(messages) + 1} has no length before it. {_advice(messages)}")
        start, length = found.end(), int(found[1])
        if start + length > len(body):
            left = len(body) - start
            raise BadFrames(f"Message {len(messages) + 1} should have {length} bytes, but only {left} are left.")
        messages.append(body[start : start + length])
        place = start + length
    return messages


def _advice(messages: Iterable[bytes]) -> str:
    if any(not message.isascii() for message in messages):
        return "A length counts the bytes of UTF-8, not characters."
    return "A length counts every byte of the message after its space, and nothing separates two messages."


def read_message(message: bytes) -> SyslogMessage | None:
    """Read one message; None when it is not RFC 5424's."""
    found = _HEAD.fullmatch(message)
    if found is None or int(found["priority"]) > _HIGHEST_PRIORITY:
        return None
    text = found["text"] or b""
    return SyslogMessage(
        priority=int(found["priority"]),
        at=_read_moment(found["at"]),
        app=found["app"].decode("utf-8", "replace"),
        process=found["process"].decode("utf-8", "replace"),
        text=text.decode("utf-8", "replace").removeprefix(_BYTE_ORDER_MARK),
        has_data=found["data"] is not None,
        is_utf8=_is_utf8(message),
    )


def _read_moment(text: bytes) -> datetime | None:
    try:
        at = datetime.fromisoformat(text.decode())
        return at.astimezone(UTC) if at.tzinfo else None
    except (OverflowError, ValueError):  # the first at either end of time, which an offset may cross
        return None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def in_pieces(text: str) -> list[str]:
    """Split a text so that no piece has more than the most bytes of a line; characters stay whole."""
    content = text.encode("utf-8", "replace")
    pieces = []
    while len(content) > MOST_LINE_BYTES:
        end = MOST_LINE_BYTES
        while content[end] & 0b1100_0000 == 0b1000_0000:  # inside a character
            end -= 1
        pieces.append(content[:end].decode())
        content = content[end:]
    return [*pieces, content.decode()]
