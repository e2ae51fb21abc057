"""One signed call of the webhook driver, as bytes and headers: knows HTTP, knows nothing of verbs."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from app.errors import Retry

_LONGEST_ANSWER_BYTES = 64 * 1024
_SHORTEST_SECRET = 32
_SHORTEST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(hours=1)


class WebhookError(Exception):
    """The other side answered what it never should. Names the verb and the status, nothing of the answer itself."""


class Call(NamedTuple):
    """The bytes to sign and send, and the key that tells a repetition from a new call, if it has one."""

    body: bytes
    idempotency_key: str | None


def encode(call: Mapping[str, Any], *, with_key: bool) -> Call:
    """The key is a digest of the whole call, so the same call always has the same key and another call never has it."""
    if not with_key:
        return Call(_json(call), None)
    key = hashlib.sha256(_json(call)).hexdigest()
    return Call(_json({**call, "idempotency_key": key}), key)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


async def post(
    client: httpx2.AsyncClient,
    url: str,
    call: Call,
    *,
    secrets: Sequence[SecretStr],
    within: timedelta,
    now: float,
    read: frozenset[int],
) -> tuple[int, httpx2.Headers, bytes]:
    """Send it, and read the answer if its status is one of `read`; of others the status alone matters.

    Raises:
        Retry: the other side could not be reached or was too slow, so nobody knows whether it was done.
        WebhookError: the answer has more than 64 KiB, or is compressed although that was not asked for.
    """
    timestamp = int(now)
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # so that the limit on an answer is a limit on what it unpacks to
        "User-Agent": "heroku-addon webhook driver",
        "Addon-Timestamp": str(timestamp),
        "Addon-Signature": ",".join(f"v1={_sign(secret, timestamp, call.body)}" for secret in secrets),
    }
    if call.idempotency_key:
        headers["Idempotency-Key"] = call.idempotency_key
    try:
        # The client's own time-outs are for each read: a side that sends one byte a second would never meet them.
        async with (
            asyncio.timeout(within.total_seconds()),
            client.stream("POST", url, content=call.body, headers=headers) as response,
        ):
            body = await _read(response) if response.status_code in read else b""
            return response.status_code, response.headers, body
    except (httpx2.RequestError, TimeoutError) as error:
        raise Retry(f"The webhook could not be reached ({type(error).__name__}).") from error


def _sign(secret: SecretStr, timestamp: int, body: bytes) -> str:
    signed = f"{timestamp}.".encode() + body
    return hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()


async def _read(response: httpx2.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise WebhookError(f"The webhook answered {response.status_code} with a compressed body, unasked.")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LONGEST_ANSWER_BYTES:
            raise WebhookError(f"The webhook answered {response.status_code} with more than 64 KiB.")
    return bytes(body)


def wait_asked_for(retry_after: str, *, now: float) -> timedelta | None:
    """What a `Retry-After` asks for, brought between a second and an hour; None if it is absent or unreadable.

    It holds seconds or an HTTP date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = retry_after.strip()
    try:
        if text.isascii() and text.isdigit():
            seconds = float(text)
        else:
            at = parsedate_to_datetime(text)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, _SHORTEST_WAIT.total_seconds()), _LONGEST_WAIT.total_seconds()))


def checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ValueError("The webhook's URL must be https: secrets travel there. Plain http is for loopback only.")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("The webhook's URL must be a host and a path: the signature alone proves who calls.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def checked_secrets(secrets: Sequence[SecretStr]) -> tuple[SecretStr, ...]:
    if not secrets or any(len(secret.get_secret_value()) < _SHORTEST_SECRET for secret in secrets):
        raise ValueError(f"A webhook needs at least one secret, each of {_SHORTEST_SECRET} characters or more.")
    return tuple(secrets)
