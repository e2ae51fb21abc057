"""The record of every HTTP exchange with the add-on, in both directions, with a verdict and without secrets."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from .masking import masked_body, masked_headers, masked_text, masked_url, secrets_sent
from .records import Direction, Exchange, Finding
from .world import World

_SHORTEST_SECRET = 8
_KEPT_OF_LOGS = 100
_KEPT_FINDINGS = 50


@dataclass(frozen=True)
class Message:
    """One half of an exchange."""

    headers: Mapping[str, str]
    body: bytes


def record_exchange(
    world: World,
    *,
    direction: Direction,
    method: str,
    url: str,
    request: Message,
    status: int | None,
    answer: Message | None,
    at: datetime,
    seconds: float,
    findings: list[Finding],
    addon_id: str | None,
) -> Exchange:
    secrets = _longest_first([*_known_secrets(world), *secrets_sent(request.headers, request.body)])
    is_about_config = "/config-vars" in url  # also of an address that is nearly right

    def body_of(message: Message, *, is_config: bool) -> str:
        headers = {name.lower(): value for name, value in message.headers.items()}
        return masked_body(message.body, headers.get("content-type", ""), secrets, is_config=is_config)

    exchange = Exchange(
        id=str(uuid4()),
        at=at,
        direction=direction,
        method=method,
        url=masked_url(url, secrets),
        request_headers=masked_headers(request.headers, secrets),
        request_body=body_of(request, is_config=is_about_config),
        status=status,
        answer_headers=masked_headers(answer.headers, secrets) if answer else {},
        answer_body=body_of(answer, is_config=is_about_config and status == 200) if answer else "",
        seconds=seconds,
        findings=_first(findings),
        addon_id=addon_id,
    )
    world.record(exchange)
    if direction == "logs":
        _make_room(world)
    return exchange


def without_secrets(world: World, text: str) -> str:
    """Return a sentence about exchanges without what this world knows to be secret."""
    return masked_text(text, _known_secrets(world))


def _first(findings: list[Finding]) -> list[Finding]:
    """Keep what can be read: a request with thousands of log messages may have a remark on each."""
    rest = len(findings) - _KEPT_FINDINGS
    return [*findings[:_KEPT_FINDINGS], Finding("note", f"And {rest} more.")] if rest > 0 else findings


def _make_room(world: World) -> None:
    """Forget old exchanges of logs, which come in masses and would drive out all others."""
    logs = [one for one in world.exchanges if one.direction == "logs"]
    for old in logs[:-_KEPT_OF_LOGS]:
        world.exchanges.remove(old)


def _known_secrets(world: World) -> list[str]:
    """List what must be masked wherever it turns up, as in an error text that quotes a connection URL."""
    offer, people = world.offer, world.oauth
    values = [value for addon in world.addons.values() for value in addon.config.values()]
    values += [*world.grants, *world.access_tokens, *world.refresh_tokens]
    values += [person.api_key for person in world.customers.values()]
    values += [one.token for one in people.authorizations.values()]
    values += [one.secret for one in people.clients.values()]
    for webhook in world.webhooks.values():
        authorization = webhook.authorization or ""
        values += [webhook.secret, authorization, authorization.rpartition(" ")[2]]
    values += [offer.password, offer.sso_salt, offer.client_secret]
    values.append(base64.b64encode(f"{offer.slug}:{offer.password}".encode()).decode())
    return _longest_first(values)


def _longest_first(secrets: Iterable[str]) -> list[str]:
    """Sort them: what is masked within another secret would leave the rest of that one to be read."""
    return sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)
