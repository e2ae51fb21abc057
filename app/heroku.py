"""How we call Heroku: OAuth tokens, config vars, actions. One client, one `_call`, a decided fate for every status.

Paths and shapes: https://devcenter.heroku.com/articles/platform-api-reference (platform API) and
https://devcenter.heroku.com/articles/building-an-add-on (tokens). Calls go to the configured hosts only, never to a URL
that came in a request.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import httpx2
import structlog

from app.errors import Gone, Refused, Retry, Unauthorized

_log = structlog.get_logger(__name__)

_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
# Those bound each step; this bounds the whole call, also when an answer trickles. Shorter than a lease in `tokens.py`.
_LONGEST_CALL = timedelta(seconds=20)
_PLATFORM_API = {"Accept": "application/vnd.heroku+json; version=3"}
_LONGEST_WAIT = timedelta(hours=1)
# OAuth lets the life of a token go untold. The grant is spent by then, so the token must not be thrown away for it.
_UNTOLD_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the token endpoint answers: the access token's life, and a refresh token, which may be a new one."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: timedelta


class Heroku:
    """Heroku as an add-on sees it.

    Every method raises `Retry` for 429 (with the wait Heroku asked for), 5xx, time-outs and network trouble;
    `Unauthorized` for 401 (the token is no good, or the client secret); `Gone` for 404 and 410; `Refused` with Heroku's
    own message for any other 4xx. That message is for operators, never for a customer.
    """

    def __init__(
        self,
        *,
        api_url: str,
        id_url: str,
        client_secret: str,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._api_url = api_url
        self._id_url = id_url
        self._client_secret = client_secret
        self._client = httpx2.AsyncClient(
            transport=transport, timeout=_TIMEOUT, follow_redirects=False, headers={"User-Agent": "addon/1.0"}
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def exchange_grant(self, code: str) -> Tokens:
        """Trade the grant of a provision request for tokens. A grant works once, within five minutes."""
        return await self._tokens({"grant_type": "authorization_code", "code": code})

    async def refresh_token(self, refresh_token: str) -> Tokens:
        """A new access token."""
        return await self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def update_config(self, uuid: UUID, access_token: str, config: Mapping[str, str]) -> None:
        """Set config vars. Cuts a release on every app the add-on is attached to, unless it is still provisioning."""
        body = {"config": [{"name": name, "value": value} for name, value in config.items()]}
        await self._platform("PATCH", f"/addons/{uuid}/config", access_token, body)

    async def mark_provisioned(self, uuid: UUID, access_token: str) -> None:
        """Say that an asynchronous provision is done: Heroku releases the config and restarts the app."""
        await self._platform("POST", f"/addons/{uuid}/actions/provision", access_token)

    async def mark_deprovisioned(self, uuid: UUID, access_token: str) -> None:
        """Say that an asynchronous provision has failed: Heroku removes the add-on."""
        await self._platform("POST", f"/addons/{uuid}/actions/deprovision", access_token)

    async def addon_state(self, uuid: UUID, access_token: str) -> str:
        """`provisioning`, `provisioned`, `deprovisioning` or `deprovisioned`."""
        return str((await self._platform("GET", f"/addons/{uuid}", access_token)).get("state"))

    async def _platform(self, method: str, path: str, access_token: str, body: Any = None) -> dict[str, Any]:
        headers = _PLATFORM_API | {"Authorization": f"Bearer {access_token}"}
        answer = await self._call(method, self._api_url + path, headers=headers, json=body)
        return answer if isinstance(answer, dict) else {}

    async def _tokens(self, form: Mapping[str, str]) -> Tokens:
        # In the form body: a query string would end up in access logs.
        answer = await self._call(
            "POST", f"{self._id_url}/oauth/token", data={**form, "client_secret": self._client_secret}
        )
        try:
            refresh_token, seconds = answer.get("refresh_token"), answer.get("expires_in")
            return Tokens(
                access_token=_text(answer["access_token"]),
                refresh_token=None if refresh_token is None else _text(refresh_token),
                expires_in=_UNTOLD_LIFE if seconds is None else timedelta(seconds=int(seconds)),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise Retry("Heroku's token endpoint answered something that is not a token") from None

    async def _call(self, method: str, url: str, **how: Any) -> Any:
        """One request. The answer's JSON on success (None for an empty body), else one of the kinds in `errors.py`."""
        path = httpx2.URL(url).path
        try:
            async with asyncio.timeout(_LONGEST_CALL.total_seconds()):
                response = await self._client.request(method, url, **how)
        except (httpx2.RequestError, TimeoutError) as error:
            raise Retry(f"{method} {path}: {type(error).__name__}") from error
        status = response.status_code
        _log.info(
            "heroku called", method=method, path=path, status=status, heroku_id=response.headers.get("Request-Id")
        )
        if status == 401:
            raise Unauthorized(f"{method} {path}: Heroku answered 401")
        if status in {404, 410}:
            raise Gone(f"{method} {path}: Heroku answered {status}")
        if status == 429:
            raise Retry(f"{method} {path}: Heroku's rate limit", after=_retry_after(response))
        if status >= 500:
            raise Retry(f"{method} {path}: Heroku answered {status}", after=_retry_after(response))
        if status >= 300:
            raise Refused(f"{method} {path}: Heroku answered {status}: {_message(response)}")
        return _json(response)


def _text(value: object) -> str:
    """A token: it has to fit into a header."""
    if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable()):
        raise TypeError
    return value


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        return None


def _message(response: httpx2.Response) -> str:
    answer = _json(response)
    message = answer.get("message") if isinstance(answer, dict) else None
    return str(message)[:500] if message else "no message"


def _retry_after(response: httpx2.Response) -> timedelta | None:
    """How long `Retry-After` asks us to wait, given in seconds or as a date; never more than an hour."""
    value = response.headers.get("Retry-After", "")
    try:
        wait = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)
        except (OverflowError, TypeError, ValueError):
            return None
    return min(max(wait, timedelta(0)), _LONGEST_WAIT)
