"""One log for everything: JSON lines in production, readable ones on a laptop, with request, resource and job ids.

Every line, also a library's, passes the same processors; the last of them hides what looks like a secret. That is
a net below the rule, not the rule: nothing here is supposed to log a secret in the first place.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final, TextIO

import structlog
from structlog.types import EventDict, Processor

_SECRET_NAME = re.compile(
    r"passw|secret|token|salt|authorization|cookie|credential|grant|api_?key|encryption|seed|config$", re.IGNORECASE
)
_SECRET_VALUES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{6,}"), r"\1 [hidden]"),
    # Up to the last @ of the word: a password that was not encoded may hold one itself.
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):\S+@"), r"\1:[hidden]@"),
    (re.compile(r"\bHRKU-[\w-]+"), "[hidden]"),
    # In a form, a connection string, a mapping's text: password=x, 'access_token': 'x', "code": "x".
    (
        re.compile(
            r"(?i)\b(\w*(?:passw|secret|token|salt)\w*|code)([\"']?=|[\"']:)\s*(\"[^\"]*\"|'[^']*'|[^\s&,;)}\]]+)"
        ),
        r"\1\2[hidden]",
    ),
)

# What every one of them needs: most texts are done with after this one look, and there are a dozen in each request.
_MAY_HOLD_A_SECRET = re.compile(r"(?i)bearer|basic|://|HRKU-|=|[\"']:")

_MAY_HAVE_MANY_LINES = {"event", "exception", "stack"}


class _Lines:
    """Where our own lines end: in the stream, without the way through the standard library, which is twice as long.

    Args:
        stream: of the whole process.
        name: of the module that logs.
    """

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line, at once."""
        self._stream.write(line + "\n")  # in one piece: other threads write as well
        self._stream.flush()

    debug = info = warning = error = critical = exception = msg


def configure_logging(log_format: str, stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send every line of the process to `stream` (standard output), as `json` or for the `console`."""
    out = stream if stream is not None else sys.stdout
    render = _json_line if log_format == "json" else _short_line(colors=_wants_colors(out))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, hide_secrets, render]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("procrastinate", "httpx2", "httpcore2", "uvicorn.access", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=partial(_Lines, out),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


def _wants_colors(stream: TextIO) -> bool:
    """Whether it is a terminal that shows colors, and its user has not said otherwise: https://no-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    )


_encode: Final = json.JSONEncoder(default=repr).encode


def _json_line(_logger: Any, _method: str, event: EventDict) -> str:
    return _encode(event)


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The line with everything hidden that is named or shaped like a secret."""
    return {
        key: "[hidden]" if _is_secret_name(str(key)) and not isinstance(value, int) else _hidden(value)
        for key, value in event.items()
    }


@lru_cache(maxsize=1000)
def _is_secret_name(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def hide_in_text(text: str) -> str:
    """The text with everything hidden that is shaped like a secret."""
    if _has_room_for_one(text) and _MAY_HOLD_A_SECRET.search(text) is not None:
        for pattern, replacement in _SECRET_VALUES:
            text = pattern.sub(replacement, text)
    return text


def _has_room_for_one(text: str) -> bool:
    """Whether it has one of the characters that are in every shape of a secret: ids, names and verbs have none."""
    return " " in text or ":" in text or "=" in text or "HRKU-" in text or not text.isprintable()


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return hide_in_text(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        return hide_secrets(None, "", value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_hidden(item) for item in value]
    # Anything else ends as its text; an exception's may quote an address with its password.
    return hide_in_text(repr(value))


def _short_line(*, colors: bool) -> Callable[[Any, str, EventDict], str]:
    """A renderer for people: the time without its date, the message, then the facts."""
    # A plain traceback: the pretty one shows local variables, secrets among them.
    plain = structlog.dev.plain_traceback
    render = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False, exception_formatter=plain)

    def line(logger: Any, method: str, event: EventDict) -> str:
        event["timestamp"] = str(event.get("timestamp", ""))[11:23]
        event.pop("logger", None)
        for name, value in event.items():
            # A terminal obeys control codes, also those in the path of a stranger's request.
            if name not in _MAY_HAVE_MANY_LINES and isinstance(value, str) and not value.isprintable():
                event[name] = value.encode("unicode_escape").decode()
        return str(render(logger, method, event))

    return line
