"""One log for everything: JSON lines in production, readable ones on a laptop, with request, resource and job ids.

Every line, also a library's, passes the same processors; the last of them hides what looks like a secret. That is
a net below the rule, not the rule: nothing here is supposed to log a secret in the first place.
"""

import logging
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TextIO

import structlog
from rich.console import Console
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


def configure_logging(log_format: str, stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send every line of the process to `stream` (standard output), as `json` or for the `console`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor]
    if log_format == "json":
        last = [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer()]
    else:
        terminal = Console(file=stream or sys.stdout)  # knows NO_COLOR and FORCE_COLOR
        colors = terminal.is_terminal and not terminal.no_color
        last = [structlog.processors.format_exc_info, hide_secrets, _short_line(colors=colors)]
    handler = logging.StreamHandler(stream or sys.stdout)
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
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The line with everything hidden that is named or shaped like a secret."""
    return {
        key: "[hidden]" if _is_secret_name(str(key)) and not isinstance(value, bool | int) else _hidden(value)
        for key, value in event.items()
    }


@lru_cache(maxsize=1000)
def _is_secret_name(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def hide_in_text(text: str) -> str:
    """The text with everything hidden that is shaped like a secret."""
    if _MAY_HOLD_A_SECRET.search(text) is not None:
        for pattern, replacement in _SECRET_VALUES:
            text = pattern.sub(replacement, text)
    return text


def _hidden(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return hide_secrets(None, "", value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(item) for item in value]
    # Anything else ends as its text; an exception's may quote an address with its password.
    return hide_in_text(value if isinstance(value, str) else repr(value))


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
