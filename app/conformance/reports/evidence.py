"""An exchange as text, as it went over the wire but for its secrets, which were masked when it was recorded."""

from app.simulator.records import Exchange
from app.simulator.verdicts import GIVES_UP_AFTER_SECONDS

_WHO = {
    "add-on": "Heroku asked the add-on",
    "tokens": "The add-on asked for a token",
    "platform": "The add-on asked the platform API",
    "customer": "A tool asked the platform API",
    "webhook": "Heroku delivered a webhook",
    "logs": "Log lines",
}


def title(exchange: Exchange) -> str:
    return f"{_WHO[exchange.direction]} at {exchange.at:%H:%M:%S} UTC"


def request_text(exchange: Exchange) -> str:
    """Return the request's line, its headers and its body."""
    return _message(f"{exchange.method} {exchange.url}", exchange.request_headers, exchange.request_body)


def answer_text(exchange: Exchange) -> str:
    """Return the answer's status, how long it took, its headers and its body."""
    if exchange.status is None:
        problems = [one.text for one in exchange.findings if one.level == "problem"]
        if problems:
            return printable("\n".join(problems))
        if exchange.seconds < GIVES_UP_AFTER_SECONDS:
            return f"The connection ended without an answer after {exchange.seconds:.2f} s."
        return f"No answer came within {exchange.seconds:.0f} s."
    line = f"{exchange.status} after {exchange.seconds:.2f} s"
    return _message(line, exchange.answer_headers, exchange.answer_body)


def _message(line: str, headers: dict[str, str], body: str) -> str:
    lines = [line, *(f"{name}: {value}" for name, value in headers.items())]
    return printable("\n".join([*lines, "", body] if body else lines))


def printable(text: str) -> str:
    """Leave out what would command a terminal, or break an XML file; an add-on's answers may hold anything."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
