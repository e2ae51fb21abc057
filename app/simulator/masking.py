"""Secrets out of what is kept of an exchange: a page that shows traffic must not show passwords."""

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

MASK = "••••••"
_SECRET_KEYS = frozenset(
    {
        "code",
        "access_token",
        "refresh_token",
        "client_secret",
        "password",
        "sso_salt",
        "token",
        "resource_token",
        "user_scoped_resource_token",
        "log_input_url",
        "log_drain_token",
        "log_drain_url",
        "logplex_url",
        "secret",
        "authorization",
    }
)
_SECRET_HEADERS = frozenset(
    {"cookie", "set-cookie", "heroku-webhook-secret", "logplex-drain-token", "proxy-authorization"}
)
# User and password in a URL wherever it stands, as in the path of another, and the tokens of log drains and log input.
_SECRET_TEXT = re.compile(r"""(?<=://)[^\s/?#@"']+(?=@)|\b[dt]\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b""")
_SECRET_IN_QUERY = re.compile(rf"""([?&](?:{"|".join(sorted(_SECRET_KEYS))})=)[^&#\s"']+""")
# What should have been JSON and is not: a field's value is masked by its name, any value of a config var's name too.
_SECRET_FIELD = re.compile(
    rf"""\b((?:{"|".join(sorted(_SECRET_KEYS))}|value|[A-Z][A-Z0-9]*_[A-Z0-9_]*)["']?\s*(?:=>|[:=])\s*)"""
    r"""("(?:[^"\\]|\\.)*["\\]?|'(?:[^'\\]|\\.)*['\\]?|[^\s"'&,;<>]+)""",
    re.DOTALL,
)
# Of more, nothing is shown: to find the secrets in it would keep everyone waiting.
_MOST_READ_BYTES = 250_000
_KEPT_FROM_OTHERS = 500
_KEPT_CHARACTERS = 8_000


def masked_headers(headers: Mapping[str, str], known_secrets: Collection[str] = ()) -> dict[str, str]:
    """Keep a header's scheme and, for Basic, that it was Basic: enough to see which kind of caller it was."""
    shown = {}
    for name, value in headers.items():
        key = name.lower()
        if key == "authorization":
            scheme, has_more, _ = value.partition(" ")
            shown[key] = f"{scheme} {MASK}" if has_more else MASK
        else:
            shown[key] = MASK if key in _SECRET_HEADERS else masked_text(value, known_secrets)
    return shown


def masked_url(url: str, known_secrets: Collection[str] = ()) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{MASK}@{host}" if "@" in parts.netloc else host
    query = "&".join(f"{key}={value}" for key, value in _masked_pairs(parts.query))
    shown = urlunsplit(parts._replace(netloc=netloc, path=_SECRET_TEXT.sub(MASK, parts.path), query=query))
    return _replaced(known_secrets, shown)


def masked_body(body: bytes, content_type: str, known_secrets: Collection[str], *, is_config: bool = False) -> str:
    """Return the body as readable text: JSON indented, a form with one field a line, anything else cut short.

    What `is_config` is nothing but config vars: of each the name may be read, when it is JSON.
    """
    if len(body) > _MOST_READ_BYTES:
        return f"{len(body)} bytes, too many to be shown."
    text = body.decode("utf-8", "replace")
    if "\0" in text:  # perhaps a text in another encoding, in which no secret would be recognised
        return f"{len(body)} bytes that are no text."
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        text = "\n".join(f"{key}={value}" for key, value in _masked_pairs(text))
        return masked_text(text, known_secrets)[:_KEPT_CHARACTERS]
    try:
        parsed = json.loads(text)
        strings = "\0".join(_strings(parsed))
        present = [secret for secret in known_secrets if secret in strings]
        text = json.dumps(_masked(parsed, present, "config" if is_config else ""), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        if is_config and text.strip():
            return f"{MASK} (not JSON)"
        return masked_text(_SECRET_FIELD.sub(rf"\1{MASK}", text), known_secrets)[:_KEPT_FROM_OTHERS]
    text = text.encode("utf-8", "replace").decode()  # JSON can spell halves of characters that nothing can store
    return text if len(text) <= _KEPT_CHARACTERS else f"{text[:_KEPT_CHARACTERS]}\n… {len(text)} characters in all"


def secrets_sent(headers: Mapping[str, str], body: bytes) -> list[str]:
    """List what a request proves itself with or hands over; whoever answers may repeat it, under any name."""
    found = []
    for name, value in headers.items():
        if name.lower() == "authorization":
            credentials = value.rpartition(" ")[2]
            found += [credentials, _decoded(credentials).partition(":")[2]]
        elif name.lower() == "cookie":
            found += [pair.partition("=")[2] for pair in value.split("; ")]
    if len(body) <= _MOST_READ_BYTES:
        text = body.decode("utf-8", "replace")
        try:
            found += _secret_values(json.loads(text))
        except (ValueError, RecursionError):
            found += [value for key, value in parse_qsl(text) if key in _SECRET_KEYS]
    return found


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode("utf-8", "replace")
    except ValueError:
        return ""


def _secret_values(value: Any) -> Iterator[str]:
    """Yield the texts in parsed JSON that are secret by their name."""
    if isinstance(value, list):
        for inner in value:
            yield from _secret_values(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _SECRET_KEYS and isinstance(inner, str):
                yield inner
            yield from _secret_values(inner)


def _masked_pairs(text: str) -> list[tuple[str, str]]:
    pairs = parse_qsl(text, keep_blank_values=True)
    return [(key, MASK if key in _SECRET_KEYS else value) for key, value in pairs]


def masked_text(text: str, known_secrets: Collection[str]) -> str:
    """Return the text without known secrets, and without what looks like one."""
    return _SECRET_IN_QUERY.sub(rf"\1{MASK}", _SECRET_TEXT.sub(MASK, _replaced(known_secrets, text)))


def _replaced(known_secrets: Collection[str], text: str) -> str:
    for secret in known_secrets:
        text = text.replace(secret, MASK)
    return text


def _strings(value: Any) -> Iterator[str]:
    """Yield every text in parsed JSON, names too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _strings(inner)


def _masked(value: Any, known_secrets: Collection[str], key: str = "") -> Any:
    """Walk parsed JSON; everything under `config` is the customer's secret, whatever its name.

    The platform API writes config as a list of name and value, and there the name may be read.
    """
    if isinstance(value, str):
        return MASK if key == "config" and value else masked_text(value, known_secrets)
    if isinstance(value, list):
        return [_masked(inner, known_secrets, "" if _is_pair(inner) else key) for inner in value]
    if not isinstance(value, dict):
        return value
    if key in {"config", "env"}:
        return {masked_text(name, known_secrets): None if inner is None else MASK for name, inner in value.items()}
    secret_keys = _SECRET_KEYS | {"value"} if _is_pair(value) else _SECRET_KEYS
    return {
        masked_text(name, known_secrets): MASK
        if name in secret_keys and inner and not isinstance(inner, dict | list)
        else _masked(inner, known_secrets, name)
        for name, inner in value.items()
    }


def _is_pair(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"name", "value"}
