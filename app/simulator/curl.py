"""An exchange's request as a `curl` command to paste into a shell. What was masked stays a variable or a mask."""

import shlex
from collections.abc import Iterator

from .records import Exchange

# curl makes these itself, and a wrong length would spoil the request.
_LEFT_OUT = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "authorization"})


def curl_command(exchange: Exchange, slug: str) -> str:
    """Return the command in lines that end in a backslash. `slug` is the manifest's id, the name in Basic auth."""
    parts = ["curl --include", *_head(exchange, slug), *_body(exchange)]
    return " \\\n  ".join([*parts, shlex.quote(_printable(exchange.url))])


def _head(exchange: Exchange, slug: str) -> Iterator[str]:
    if exchange.method != "GET":
        yield f"--request {shlex.quote(_printable(exchange.method))}"
    headers = {name.lower(): value for name, value in exchange.request_headers.items()}
    scheme = headers.get("authorization", "").partition(" ")[0].lower()
    if scheme == "basic":
        yield f'--user {shlex.quote(slug)}:"$PASSWORD"' if exchange.direction == "add-on" else '--user ":$TOKEN"'
    elif scheme:
        yield '--header "Authorization: Bearer $TOKEN"'
    for name, value in headers.items():
        if name not in _LEFT_OUT:
            yield f"--header {shlex.quote(_printable(f'{name}: {value}'))}"


def _body(exchange: Exchange) -> Iterator[str]:
    if not exchange.request_body:
        return
    if "application/x-www-form-urlencoded" in exchange.request_headers.get("content-type", ""):
        for line in exchange.request_body.splitlines():
            yield f"--data-urlencode {shlex.quote(_printable(line))}"
        return
    yield f"--data-raw {shlex.quote(_printable(exchange.request_body))}"


def _printable(text: str) -> str:
    """Leave out what would command a terminal; other people's requests may hold anything."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")
