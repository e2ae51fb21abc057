"""Hands every verb to the partner's own system: a signed POST to one URL, in whatever language that system is written.

`docs/webhook-driver.md` is the contract for the other side. Nothing is remembered here: a call that was cut off or was
answered "not now" is made again by the job queue, with the same body and the same `Idempotency-Key`. The bytes and
headers of a call are in `webhook_wire.py`; this file says what the answers mean. Every status has one fate:

    2xx               done; a body is read where the verb needs one
    202, 408, 409, 425, 429, 5xx, network, time-out    `Retry`, after what `Retry-After` says if it is there
    422 + message     `Refused` with that message, where somebody asked (provision, change_plan, rotate, bring_back)
    404, 410          done for deprovision and set_aside; 410 for retire; nothing to measure for usage; lines not wanted
    501               the other side lacks the verb: fine for usage, restrict and take_log_lines, which it need not have
    anything else     `WebhookError`: a bug or a wrong setting on one of the two sides
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from app.drivers.base import Driver, LogLine, Measure, Provisioned, ResourceInfo, Snippet
from app.drivers.webhook_wire import WebhookError, checked_secrets, checked_url, encode, post, wait_asked_for
from app.errors import Refused, Retry
from app.outgoing import certificates

Verb = Literal[
    "provision",
    "change_plan",
    "rotate",
    "retire",
    "deprovision",
    "usage",
    "restrict",
    "suspend",
    "resume",
    "set_aside",
    "bring_back",
    "take_log_lines",
]

_LONGEST_MESSAGE = 500
_NOT_NOW = frozenset({202, 408, 409, 425, 429})
# A 404 to `retire` may be a system that lacks the verb, and the old credential would live on: only "gone" counts there.
_AS_GOOD_AS_DONE: Mapping[Verb, frozenset[int]] = {
    "retire": frozenset({410}),
    "deprovision": frozenset({404, 410}),
    "set_aside": frozenset({404, 410}),
    "usage": frozenset({404, 410, 501}),
    "restrict": frozenset({501}),
    "take_log_lines": frozenset({404, 410, 501}),
}
# These ask or say how things are at this moment, so an answer remembered under a key would be wrong the second time.
# Log lines have their batch instead: who remembers the last key only must not forget the last change for them.
_WITHOUT_KEY: frozenset[Verb] = frozenset({"usage", "restrict", "take_log_lines"})
_MADE = frozenset({200, 201, 422})
_MEASURED = frozenset({200})
_NO_BODY: frozenset[int] = frozenset()
_NO_TERMS: Mapping[str, Any] = MappingProxyType({})


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class _Made(_Answer):
    config: dict[
        Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")], Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
    ]
    details: dict[str, Any] = {}
    message: str | None = None


class _Reading(_Answer):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    used: Annotated[int, Field(ge=0)]
    limit: Annotated[int, Field(ge=1)]
    unit: Literal["bytes", "count"]
    enforced: bool = False


class _Usage(_Answer):
    measures: list[_Reading]


class _No(BaseModel):
    message: Annotated[str, Field(strict=True, min_length=1)]


_A = TypeVar("_A", bound=_Answer)


class Webhook(Driver):
    """One plan whose resources live in the partner's own system.

    Args:
        url: where every verb is posted: https, or http on a loopback address.
        secrets: what signs the calls, newest first, each of 32 characters or more. During a rotation give both: every
            call then carries both signatures, and the other side may change over at any moment.
        terms: whatever the other side needs to know of this plan, as JSON; sent with each call.
        snippets: how customers use the service, for the dashboard.
        can_suspend: the other side knows the verbs `suspend` and `resume`.
        can_set_aside: the other side knows the verbs `set_aside` and `bring_back`.
        can_take_log_lines: the other side knows the verb `take_log_lines`.
        timeout: for a whole call, from connecting to the last byte of the answer.
        transport: replaces the network in tests.
        now: seconds since 1970, for the signature and for `Retry-After` dates.
    """

    def __init__(
        self,
        url: str,
        secrets: Sequence[SecretStr],
        *,
        terms: Mapping[str, Any] = _NO_TERMS,
        snippets: Sequence[Snippet] = (),
        can_suspend: bool = False,
        can_set_aside: bool = False,
        can_take_log_lines: bool = False,
        timeout: timedelta = timedelta(seconds=20),
        transport: httpx2.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = checked_url(url)
        self._secrets = checked_secrets(secrets)
        self._terms = terms
        self._snippets = tuple(snippets)
        self._can_suspend = can_suspend
        self._can_set_aside = can_set_aside
        self._can_take_log_lines = can_take_log_lines
        self._timeout = timeout
        self._transport = transport
        self._now = now
        self._client: httpx2.AsyncClient | None = None

    async def open(self) -> None:
        self._client = httpx2.AsyncClient(
            verify=certificates(),
            transport=self._transport,
            timeout=self._timeout.total_seconds(),
            follow_redirects=False,  # a signed body with a secret goes to one address only
            trust_env=False,  # no proxy and no .netrc of the machine either
        )

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()
            self._client = None

    async def provision(self, resource: ResourceInfo) -> Provisioned:
        return await self._make("provision", resource, changes=_changes(resource))

    async def change_plan(self, resource: ResourceInfo) -> Provisioned:
        return await self._make("change_plan", resource, changes=_changes(resource) + 1)

    async def rotate(self, resource: ResourceInfo) -> Provisioned:
        return await self._make("rotate", resource, changes=_changes(resource))

    async def retire(self, resource: ResourceInfo) -> None:
        await self._call("retire", resource)

    async def deprovision(self, resource: ResourceInfo) -> None:
        await self._call("deprovision", resource)

    async def usage(self, resource: ResourceInfo) -> Sequence[Measure]:
        status, body = await self._call("usage", resource, read=_MEASURED)
        if status in _AS_GOOD_AS_DONE["usage"]:
            return ()
        readings = _parse(_Usage, "usage", status, body).measures
        return tuple(Measure(**reading.model_dump()) for reading in readings)

    async def restrict(self, resource: ResourceInfo, *, read_only: bool) -> None:
        await self._call("restrict", resource, read_only=read_only)

    async def suspend(self, resource: ResourceInfo) -> None:
        await self._call("suspend", resource)

    async def resume(self, resource: ResourceInfo) -> None:
        await self._call("resume", resource)

    async def set_aside(self, resource: ResourceInfo) -> None:
        await self._call("set_aside", resource)

    async def bring_back(self, resource: ResourceInfo) -> Provisioned:
        return await self._make("bring_back", resource, changes=_changes(resource))

    async def take_log_lines(self, resource: ResourceInfo, lines: Sequence[LogLine], *, batch: str) -> None:
        told = [
            {
                "at": None if line.at is None else line.at.isoformat(),
                "priority": line.priority,
                "source": line.source,
                "process": line.process,
                "text": line.text,
            }
            for line in lines
        ]
        await self._call("take_log_lines", resource, batch=batch, lines=told)

    @property
    def can_take_log_lines(self) -> bool:
        return self._can_take_log_lines

    @property
    def can_suspend(self) -> bool:
        return self._can_suspend

    @property
    def can_set_aside(self) -> bool:
        return self._can_set_aside

    def snippets(self) -> Sequence[Snippet]:
        return self._snippets

    async def _make(self, verb: Verb, resource: ResourceInfo, *, changes: int) -> Provisioned:
        secret = resource.secret(f"webhook-{resource.generation}")
        status, body = await self._call(verb, resource, read=_MADE, secret=secret)
        if status == 422:
            raise _refusal(verb, body, secret)
        made = _parse(_Made, verb, status, body)
        return Provisioned(
            config=made.config,
            details={"changes": changes, "partner": made.details},
            message=_for_customer(made.message or "", secret) or None,
        )

    async def _call(
        self, verb: Verb, resource: ResourceInfo, *, read: frozenset[int] = _NO_BODY, **more: Any
    ) -> tuple[int, bytes]:
        """One call. Returns the status that ends the matter, and the body if the status is one of `read`.

        Raises:
            Retry: not now, or nobody knows whether it was done.
            WebhookError: an answer that trying again will hardly change.
        """
        if self._client is None:
            raise RuntimeError("A webhook driver must be opened before its first use.")
        facts = {
            "uuid": str(resource.uuid),
            "plan": resource.plan,
            "region": resource.region,
            "options": dict(resource.options),
            "generation": resource.generation,
            "suspended": resource.is_suspended,
            "changes": _changes(resource),
            "details": resource.details.get("partner", {}),
        }
        said = {"verb": verb, "resource": facts, "terms": dict(self._terms), **more}
        call = encode(said, with_key=verb not in _WITHOUT_KEY)
        status, headers, body = await post(
            self._client, self._url, call, secrets=self._secrets, within=self._timeout, now=self._now(), read=read
        )
        is_done = 200 <= status < 300 and status != 202
        if is_done or status in read or status in _AS_GOOD_AS_DONE.get(verb, ()):
            return status, body
        sentence = f"The webhook answered {status} to {verb}."
        if status in _NOT_NOW or (status >= 500 and status != 501):
            raise Retry(sentence, after=wait_asked_for(headers.get("Retry-After", ""), now=self._now()))
        raise WebhookError(sentence)


def _changes(resource: ResourceInfo) -> int:
    """How many plan changes have been recorded. It is part of each call: without it the second of two changes to the
    same plan (basic, big, basic, big) would have the `Idempotency-Key` of the first.
    """
    return int(resource.details.get("changes", 0))


def _parse(shape: type[_A], verb: Verb, status: int, body: bytes) -> _A:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        at = error.errors(include_input=False, include_url=False, include_context=False)[0]["loc"]
        field = f" (see its {at[0]})" if at and at[0] in shape.model_fields else ""
    # Outside the handler, so that the answer cannot be found through the exception's context either.
    raise WebhookError(f"The webhook answered {status} to {verb}, but not in the agreed form{field}.")


def _refusal(verb: Verb, body: bytes, secret: str) -> Refused | WebhookError:
    """Web frameworks answer 422 of their own accord to a body they cannot read, so only one with a message is a no."""
    try:
        message = _No.model_validate_json(body).message
    except ValidationError:
        return WebhookError(f"The webhook answered 422 to {verb} without a message.")
    return Refused(_for_customer(message, secret) or "The service did not accept this request.")


def _for_customer(text: str, secret: str) -> str:
    """One line of visible characters, at most 500 of them; empty if it repeats the secret that we sent."""
    if secret in text:
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1].rstrip() + "…"
