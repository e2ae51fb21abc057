"""Secrets out of what is kept of an exchange: a page that shows traffic must not show passwords."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

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
        "log_input_url",
        "log_drain_token",
        "log_drain_url",
        "secret",
        "authorization",
    }
)
_SECRET_HEADERS = frozenset({"cookie", "set-cookie", "heroku-webhook-secret", "logplex-drain-token"})
_KEPT_FROM_OTHERS = 500
_KEPT_CHARACTERS = 8_000


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep a header's scheme and, for Basic, that it was Basic: enough to see which kind of caller it was."""
    shown = {}
    for name, value in headers.items():
        key = name.lower()
        if key == "authorization":
            shown[key] = f"{value.partition(' ')[0]} {MASK}"
        else:
            shown[key] = MASK if key in _SECRET_HEADERS else value
    return shown


def masked_url(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{MASK}@{host}" if "@" in parts.netloc else host
    return urlunsplit(parts._replace(netloc=netloc, query=_masked_form(parts.query)))


def masked_body(body: bytes, content_type: str, known_secrets: Iterable[str]) -> str:
    """Return the body as readable text: JSON indented, forms by field, anything else cut short."""
    text = body.decode("utf-8", "replace")
    kind = content_type.partition(";")[0].strip().lower()
    if not text:
        return ""
    if kind == "application/x-www-form-urlencoded":
        text = _masked_form(text)
    else:
        try:
            text = json.dumps(_masked(json.loads(text)), indent=2, ensure_ascii=False)
        except ValueError:
            text = text[:_KEPT_FROM_OTHERS]
    for secret in known_secrets:
        text = text.replace(secret, MASK)
    return text if len(text) <= _KEPT_CHARACTERS else f"{text[:_KEPT_CHARACTERS]}\n… {len(text)} characters in all"


def _masked_form(text: str) -> str:
    pairs = parse_qsl(text, keep_blank_values=True)
    return urlencode(
        [(key, MASK if key in _SECRET_KEYS else value) for key, value in pairs], safe="•:/@", encoding="utf-8"
    )


def _masked(value: Any, key: str = "") -> Any:
    """Walk parsed JSON; everything under `config` is the customer's secret, whatever its name."""
    if isinstance(value, dict):
        if key == "config":
            return {name: None if inner is None else MASK for name, inner in value.items()}
        is_config_var = value.keys() == {"name", "value"}
        return {
            name: MASK
            if inner
            and not isinstance(inner, dict | list)
            and (name in _SECRET_KEYS or (is_config_var and name == "value"))
            else _masked(inner, name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, key) for inner in value]
    return value
