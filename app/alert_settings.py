"""Where alerts may go, as it stands in the environment: addresses of mail servers, of people and of a webhook."""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

# What can neither begin another header nor name another addressee.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _parts(value: SecretStr, schemes: set[str], example: str) -> str:
    """The host of a URL that is kept as it was written."""
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in schemes or not host or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"must be an address such as {example}")
    return host


def _smtp_url(value: SecretStr) -> SecretStr:
    _parts(value, {"smtp", "smtps"}, "smtp://user:password@mail.example.com:587, or smtps:// for TLS from the start")
    return value


def _webhook_url(value: SecretStr) -> SecretStr:
    host = _parts(value, {"https", "http"}, "https://hooks.example.com/services/T0/B0")
    if not value.get_secret_value().startswith("https:") and not is_loopback(host):
        raise ValueError("must be https; plain http is for loopback addresses only")
    return value


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("must be an e-mail address such as alerts@example.com, without a name")
    return text


def _comma_separated(value: Any) -> Any:
    values = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if values == []:
        raise ValueError("must hold at least one address")
    return values


SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
WebhookUrl = Annotated[SecretStr, AfterValidator(_webhook_url)]
Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[list[Address] | None, BeforeValidator(_comma_separated)]
