"""The environment, read once at start, typed. A missing or malformed setting stops the start with one sentence."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import IntEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.alert_settings import Address, Addresses, SmtpUrl, WebhookUrl, is_loopback


class SsoStrength(IntEnum):
    """The weakest single sign-on token that is accepted; a higher one is always welcome."""

    LEGACY = 1
    RESOURCE = 2
    USER = 3


class BadSettingsError(Exception):
    """A setting is missing or malformed; the message names it and says what it should be."""


def _postgres_url(text: str) -> str:
    """Heroku's `postgres://` and the standard `postgresql://`, as SQLAlchemy's name for psycopg 3."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must begin with postgres:// or postgresql://")
    url = f"postgresql+psycopg://{rest}"
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # their messages repeat parts of it, perhaps of the password
        address = None
    if address is None or not (address.host or address.database):
        raise ValueError("must be an address such as postgres://user:password@host:5432/database")
    return url


def _secret_postgres_url(value: SecretStr) -> SecretStr:
    return SecretStr(_postgres_url(value.get_secret_value()))


def _web_url(text: str) -> str:
    """An address as browsers write their `Origin`: in lower case, without the port where it is the usual one."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or parts.fragment
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError("must be an http or https address such as https://addon.example.com")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{host}{'' if is_usual else f':{port}'}{parts.path.rstrip('/')}"


def _heroku_url(text: str) -> str:
    text = _web_url(text)
    parts = urlsplit(text)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https: tokens travel there, so plain http is for loopback addresses only")
    return text


def _comma_separated(value: Any) -> Any:
    values = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not values:
        raise ValueError("must hold at least one key")
    return values


def _encryption_key(value: SecretStr) -> SecretStr:
    try:
        raw = base64.b64decode(value.get_secret_value(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be 32 bytes in URL-safe base64") from None
    if len(raw) != 32:
        raise ValueError("must be 32 bytes in URL-safe base64")
    return value


def _sso_strength(value: Any) -> Any:
    try:
        return SsoStrength[value.upper()] if isinstance(value, str) else value
    except KeyError:
        raise ValueError("must be user, resource or legacy") from None


def _secret_key(value: SecretStr) -> SecretStr:
    if len(value) < 32:
        raise ValueError("must have at least 32 characters")
    return value


def _duration(value: Any) -> Any:
    """`72h`, `3d`, `90m`, or `0`."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]{1,5})([mhd]?)", value.strip())
    if found is None or (not found[2] and int(found[1]) > 0):
        raise ValueError("must be a number with its unit, m, h or d, such as 72h or 3d; or 0")
    return int(found[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1)}.get(found[2], timedelta(days=1))


def _metrics_token(value: SecretStr) -> SecretStr:
    if len(value) < 16:
        raise ValueError("must have at least 16 characters")
    return value


def _password(value: SecretStr) -> SecretStr:
    if not 8 <= len(value) <= 72:
        raise ValueError("must have 8 to 72 characters, as Heroku wants it")
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_secret_postgres_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
HerokuUrl = Annotated[str, AfterValidator(_heroku_url)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_encryption_key)]
SecretKey = Annotated[SecretStr, AfterValidator(_secret_key)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
MetricsToken = Annotated[SecretStr, AfterValidator(_metrics_token)]
Password = Annotated[SecretStr, AfterValidator(_password)]


class Settings(BaseModel):
    """Every setting of the program; each name in capitals is the environment variable's.

    Heroku allows 8 to 72 characters in the partner API password. The `_PREVIOUS` twins are for a rotation: both values
    are accepted while Heroku still uses the old one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: PostgresUrl
    port: Annotated[int, Field(ge=0, le=65535)] = 5000
    public_url: WebUrl
    addon_password: Password
    addon_password_previous: Password | None = None
    addon_sso_salt: Annotated[SecretStr, Field(min_length=1)]
    addon_sso_salt_previous: SecretStr | None = None
    heroku_client_secret: Annotated[SecretStr, Field(min_length=1)]
    heroku_api_url: HerokuUrl = "https://api.heroku.com"
    heroku_id_url: HerokuUrl = "https://id.heroku.com"
    heroku_addons_url: HerokuUrl = "https://addons.heroku.com"
    encryption_keys: Annotated[list[EncryptionKey], BeforeValidator(_comma_separated)]
    secret_keys: Annotated[list[SecretKey], BeforeValidator(_comma_separated)]
    sso_strength: Annotated[SsoStrength, BeforeValidator(_sso_strength)] = SsoStrength.RESOURCE
    postgres_driver_admin_url: PostgresUrl | None = None
    postgres_driver_public_host: str | None = None
    deprovision_grace: Duration = timedelta(days=3)
    self_healing: bool = True
    batch_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 30
    log_format: Literal["json", "console"] = "json"
    worker_in_web: bool = False
    heroku_webhooks: bool = True
    proxies_in_front: Annotated[int, Field(ge=0, le=9)] | None = None
    operators_need_totp: bool = False
    oidc_issuer: HerokuUrl | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_role_for_new: Literal["viewer", "support", "operator"] | None = None
    alert_smtp_url: SmtpUrl | None = None
    alert_mail_from: Address | None = None
    alert_mail_to: Addresses = None
    alert_webhook_url: WebhookUrl | None = None
    alert_webhook_secret: SecretStr | None = None
    metrics_token: MetricsToken | None = None
    otel_exporter_otlp_endpoint: WebUrl | None = None

    @property
    def is_https(self) -> bool:
        """Whether customers reach us over https; then cookies are `Secure` and HSTS is sent."""
        return self.public_url.startswith("https:")

    @property
    def proxies(self) -> int:
        """How many proxies each add a caller's address to X-Forwarded-For. What ends TLS for us is one."""
        return self.proxies_in_front if self.proxies_in_front is not None else int(self.is_https)

    @model_validator(mode="after")
    def _open_id_is_complete(self) -> Self:
        if len({value is None for value in (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret)}) > 1:
            raise ValueError("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET must be set together, or none of them")
        return self

    @model_validator(mode="after")
    def _alert_mail_is_complete(self) -> Self:
        if len({value is None for value in (self.alert_smtp_url, self.alert_mail_from, self.alert_mail_to)}) > 1:
            raise ValueError("ALERT_SMTP_URL, ALERT_MAIL_FROM and ALERT_MAIL_TO must be set together, or none of them")
        return self

    @model_validator(mode="after")
    def _previous_differs(self) -> Self:
        if self.addon_password_previous and self.addon_password_previous == self.addon_password:
            raise ValueError("ADDON_PASSWORD_PREVIOUS must differ from ADDON_PASSWORD")
        return self


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of `environment` (by default the process's).

    Raises:
        BadSettingsError: with one sentence that names the first setting at fault.
    """
    try:
        given = os.environ if environment is None else environment
        return Settings.model_validate({name.lower(): value for name, value in given.items() if value})
    except ValidationError as error:
        raise BadSettingsError(_sentence(error)) from None


def read_database_url() -> str:
    """`DATABASE_URL` alone: migrations run before anything else has to be configured.

    Raises:
        BadSettingsError: it is missing or malformed.
    """
    try:
        return _postgres_url(os.environ["DATABASE_URL"])
    except KeyError:
        raise BadSettingsError("DATABASE_URL is not set.") from None
    except ValueError as error:
        raise BadSettingsError(f"DATABASE_URL: {error}.") from None


def _sentence(error: ValidationError) -> str:
    """One sentence about the first fault. The value itself is never repeated: it may be a secret."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = str(first["loc"][0]).upper() if first["loc"] else ""
    if first["type"] == "missing":
        return f"{name} is not set."
    what = first["msg"].removeprefix("Value error, ")
    return f"{name}: {what[:1].lower()}{what[1:]}." if name else f"{what}."
