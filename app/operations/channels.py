"""The ways to the team: mail and a webhook. Each has a time-out, follows nothing, and says what went wrong without
repeating an address or a secret.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

import httpx2

from app import outgoing
from app.alert_settings import is_loopback
from app.context import Context
from app.operations import messages
from app.operations.messages import Content

# For each step, and for the whole.
_STEP: Final = timedelta(seconds=10)
_WHOLE: Final = timedelta(seconds=20)


class NotDelivered(Exception):
    """It did not arrive, as far as we know. The message is for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way.

    Attributes:
        name: of the way, as it is stored with a message.
        where: it leads, for operators; no secret.
        send: delivers a message with an id and its facts, or raises `NotDelivered`.
    """

    name: str
    where: str
    send: Callable[[UUID, Content], Awaitable[None]]


def channels(context: Context) -> Mapping[str, Channel]:
    """The ways that the settings name; perhaps none."""
    found, settings = {}, context.settings
    if settings.alert_smtp_url is not None:
        host = urlsplit(settings.alert_smtp_url.get_secret_value()).hostname
        where = f"{', '.join(settings.alert_mail_to or [])} through {host}"
        found["mail"] = Channel(name="mail", where=where, send=lambda id_, of: _mail(context, id_, of))
    if settings.alert_webhook_url is not None:
        host = urlsplit(settings.alert_webhook_url.get_secret_value()).hostname
        found["webhook"] = Channel(
            name="webhook", where=f"JSON to {host}", send=lambda id_, of: _webhook(context, id_, of)
        )
    return found


async def _mail(context: Context, id_: UUID, of: Content) -> None:
    # Only a worker sends mail, and not every one.
    from email.message import EmailMessage  # noqa: PLC0415
    from email.policy import SMTP  # noqa: PLC0415
    from email.utils import format_datetime  # noqa: PLC0415

    import aiosmtplib  # noqa: PLC0415

    settings = context.settings
    url = urlsplit(settings.alert_smtp_url.get_secret_value() if settings.alert_smtp_url else "")
    own_host = urlsplit(settings.public_url).hostname or "localhost"
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.alert_mail_from
    message["To"] = ", ".join(settings.alert_mail_to or [])
    message["Subject"] = messages.subject(of)
    message["Date"] = format_datetime(context.clock())
    # The same for every try, so that a mail that arrives twice is shown once.
    message["Message-ID"] = f"<alert-{id_}@{own_host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(messages.body(of))
    is_tls = url.scheme == "smtps"
    try:
        async with asyncio.timeout(_WHOLE.total_seconds()):
            await aiosmtplib.send(
                message,
                hostname=url.hostname,
                port=url.port or (465 if is_tls else 587),
                username=None if url.username is None else unquote(url.username),
                password=None if url.password is None else unquote(url.password),
                use_tls=is_tls,
                # Nothing is said in the clear, but on this machine.
                start_tls=False if is_tls else None if is_loopback(url.hostname or "") else True,
                timeout=_STEP.total_seconds(),
                local_hostname=own_host,
            )
    except aiosmtplib.SMTPResponseException as error:
        raise NotDelivered(f"The mail server answered {error.code} ({type(error).__name__}).") from None
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise NotDelivered(f"The mail server could not be used ({type(error).__name__}).") from None


async def _webhook(context: Context, id_: UUID, of: Content) -> None:
    """`text` is what Slack and its like show; `alerts` is for programs."""
    settings = context.settings
    url = settings.alert_webhook_url.get_secret_value() if settings.alert_webhook_url else ""
    facts = {"id": str(id_), "text": messages.for_chat(of), "alerts": [*of["begun"], *of["over"]]}
    body = json.dumps(facts).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "addon/1.0", "Idempotency-Key": str(id_)}
    if settings.alert_webhook_secret is not None:
        timestamp = int(context.clock().timestamp())
        signed = f"{timestamp}.".encode() + body
        digest = hmac.new(settings.alert_webhook_secret.get_secret_value().encode(), signed, hashlib.sha256)
        headers |= {"Addon-Timestamp": str(timestamp), "Addon-Signature": f"v1={digest.hexdigest()}"}
    client = outgoing.client(named=[url], timeout=_STEP)
    try:
        # Not a byte of the answer's body is of interest.
        async with (
            asyncio.timeout(_WHOLE.total_seconds()),
            client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            status = response.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
        raise NotDelivered(f"The webhook could not be reached ({type(error).__name__}).") from None
    if not 200 <= status < 300:
        raise NotDelivered(f"The webhook answered {status}.")
