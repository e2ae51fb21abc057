"""How we call Heroku: tokens, config vars, actions, facts, webhooks. One client, one `_call`, a fate for every status.

Paths and shapes: https://devcenter.heroku.com/articles/platform-api-reference (platform API) and
https://devcenter.heroku.com/articles/building-an-add-on (tokens). Calls go to the configured hosts only, never to a URL
that came in a request.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import httpx2
import structlog

from app.errors import Gone, Refused, Retry, Unauthorized
from app.exchanges import Exchange, readable
from app.heroku_answers import (
    AddonInfo,
    Attachment,
    Subscription,
    Tokens,
    json_of,
    list_of,
    message_of,
    next_page,
    retry_after,
    token_text,
    tokens_of,
    uuid_of,
    words,
)
from app.outgoing import certificates
from app.telemetry.watch import Watch

_log = structlog.get_logger(__name__)

_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
# Those bound each step; this bounds the whole call, also when an answer trickles. Shorter than a lease in `tokens.py`.
_LONGEST_CALL = timedelta(seconds=20)
_PLATFORM_API = {"Accept": "application/vnd.heroku+json; version=3"}
# What may be remembered of an answer's body, where it is a text or a number.
_READABLE = ("id", "message", "error", "state", "expires_in")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What there is to remember about a call: whose it is, what may be read of it, and what may never be."""

    uuid: UUID
    request: Mapping[str, Any]
    secrets: Sequence[str | None]
    # A look changes nothing: it is remembered only if it failed.
    is_look: bool = False


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
        note: Callable[[Exchange], None] | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._api_url = api_url
        self._id_url = id_url
        self._client_secret = client_secret
        self._note_exchange = note
        self._watch = watch if watch is not None else Watch()
        self._transport = transport

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        """Made when it is wanted: to read the certificate authorities takes 50 ms of a start, and a megabyte."""
        return httpx2.AsyncClient(
            verify=certificates(),
            transport=self._transport,
            timeout=_TIMEOUT,
            follow_redirects=False,
            headers={"User-Agent": "addon/1.0"},
        )

    async def close(self) -> None:
        """Close every connection."""
        if "_client" in vars(self):
            await self._client.aclose()

    async def exchange_grant(self, code: str, *, uuid: UUID | None = None) -> Tokens:
        """Trade the grant of a provision request for tokens. A grant works once, within five minutes."""
        return await self._tokens(uuid, {"grant_type": "authorization_code", "code": code})

    async def refresh_token(self, refresh_token: str, *, uuid: UUID | None = None) -> Tokens:
        """A new access token."""
        return await self._tokens(uuid, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def new_grant(self, uuid: UUID, *, slug: str, password: str) -> str:
        """The code of another grant for an add-on whose tokens are lost: Heroku gives one to partners whom it has
        allowed that, who prove themselves as in its partner API. `Unauthorized`, `Refused` or `Gone` to all others.
        """
        about = _Call(uuid=uuid, request={}, secrets=[password])
        url = f"{self._api_url}/vendor/resources/{uuid}/oauth-grant"
        answer = await self._call("GET", url, about, headers={"Accept": "application/json"}, auth=(slug, password))
        try:
            return token_text(answer["code"])
        except (KeyError, TypeError):
            raise Retry("Heroku answered something that is not a grant") from None

    async def update_config(self, uuid: UUID, access_token: str, config: Mapping[str, str]) -> None:
        """Set config vars. Cuts a release on every app the add-on is attached to, unless it is still provisioning."""
        body = {"config": [{"name": name, "value": value} for name, value in config.items()]}
        about = _Call(uuid=uuid, request={"config": list(config)}, secrets=[access_token, *config.values()])
        await self._platform("PATCH", f"/addons/{uuid}/config", access_token, about, body)

    async def config(self, uuid: UUID, access_token: str) -> dict[str, str]:
        """The config vars that Heroku has of an add-on, by their names in the manifest."""
        found = await self._look(f"/addons/{uuid}/config", uuid, access_token)
        if not isinstance(found, list) or not all(isinstance(one, dict) and "name" in one for one in found):
            raise Retry(f"GET /addons/{uuid}/config: Heroku answered something that is not a list of config vars")
        return {str(one["name"]): str(one["value"]) for one in found if one.get("value") is not None}

    async def mark_provisioned(self, uuid: UUID, access_token: str) -> None:
        """Say that an asynchronous provision is done: Heroku releases the config and restarts the app."""
        about = _Call(uuid=uuid, request={}, secrets=[access_token])
        await self._platform("POST", f"/addons/{uuid}/actions/provision", access_token, about)

    async def mark_deprovisioned(self, uuid: UUID, access_token: str) -> None:
        """Say that an asynchronous provision has failed: Heroku removes the add-on."""
        about = _Call(uuid=uuid, request={}, secrets=[access_token])
        await self._platform("POST", f"/addons/{uuid}/actions/deprovision", access_token, about)

    async def addon_state(self, uuid: UUID, access_token: str) -> str:
        """`provisioning`, `provisioned`, `deprovisioning` or `deprovisioned`."""
        about = _Call(uuid=uuid, request={}, secrets=[access_token])
        addon = await self._platform("GET", f"/addons/{uuid}", access_token, about)
        return str(addon.get("state") if isinstance(addon, dict) else None)

    async def addon(self, uuid: UUID, access_token: str) -> AddonInfo:
        """What Heroku says about an add-on; `app` is the one that pays. The plan comes without the service's name."""
        addon = await self._look(f"/addons/{uuid}", uuid, access_token)
        plan = words(addon, "plan", "name")
        return AddonInfo(
            name=words(addon, "name"),
            state=words(addon, "state"),
            plan=None if plan is None else plan.rpartition(":")[2],
            app_id=uuid_of(words(addon, "app", "id")),
            app_name=words(addon, "app", "name"),
        )

    async def attachments(self, uuid: UUID, access_token: str) -> list[Attachment]:
        """The apps to which an add-on is attached; the first page of them."""
        found = await self._look(f"/addons/{uuid}/addon-attachments", uuid, access_token)
        named = [(words(one, "id"), words(one, "app", "name"), words(one, "name")) for one in list_of(found)]
        return [Attachment(id=id_, app=app, name=name) for id_, app, name in named if id_ and app and name]

    async def app_owner(self, app_id: UUID, uuid: UUID, access_token: str) -> str | None:
        """The e-mail address of whose app it is; for a team's app, Heroku's address of the team."""
        return words(await self._look(f"/apps/{app_id}", uuid, access_token), "owner", "email")

    async def subscriptions(self, uuid: UUID, access_token: str) -> list[Subscription]:
        """The add-on's subscriptions to webhooks; the first page of them."""
        found = await self._look(f"/addons/{uuid}/webhooks", uuid, access_token)
        return [
            Subscription(
                id=uuid_of(words(one, "id")),
                url=words(one, "url") or "",
                include=frozenset(name for name in list_of(one.get("include")) if isinstance(name, str)),
                level=words(one, "level") or "",
            )
            for one in list_of(found)
            if isinstance(one, dict)
        ]

    async def subscribe(self, uuid: UUID, access_token: str, wanted: Subscription, secret: str) -> UUID:
        """Have webhooks sent, signed with `secret`; a subscription that has an id is changed to what is wanted."""
        body = {"include": sorted(wanted.include), "level": wanted.level, "url": wanted.url}
        about = _Call(uuid=uuid, request=body, secrets=[access_token, secret])
        method, path = "POST", f"/addons/{uuid}/webhooks"
        if wanted.id is not None:
            method, path = "PATCH", f"{path}/{wanted.id}"
        try:
            made = await self._platform(method, path, access_token, about, body | {"secret": secret})
        except Gone:
            if wanted.id is None:
                raise
            raise Retry(f"{method} {path}: the subscription has just ended") from None
        id_ = uuid_of(words(made, "id"))
        if id_ is None:
            raise Retry(f"{method} {path}: Heroku's answer has no id")
        return id_

    async def unsubscribe(self, uuid: UUID, access_token: str, id_: UUID) -> None:
        """End a subscription; one that is not there any more is fine."""
        about = _Call(uuid=uuid, request={}, secrets=[access_token])
        with suppress(Gone):
            await self._platform("DELETE", f"/addons/{uuid}/webhooks/{id_}", access_token, about)

    async def installs(self, url: str, *, slug: str, password: str) -> tuple[Any, str | None]:
        """A page of the list of all installs, as Heroku writes it, and where the next is. No other host is followed."""
        response = await self._send("GET", url, None, headers={"Accept": "application/json"}, auth=(slug, password))
        return json_of(response), next_page(url, response)

    async def _look(self, path: str, uuid: UUID, access_token: str) -> Any:
        about = _Call(uuid=uuid, request={}, secrets=[access_token], is_look=True)
        return await self._platform("GET", path, access_token, about)

    async def _platform(self, method: str, path: str, access_token: str, about: _Call, body: Any = None) -> Any:
        headers = _PLATFORM_API | {"Authorization": f"Bearer {access_token}"}
        return await self._call(method, self._api_url + path, about, headers=headers, json=body)

    async def _tokens(self, uuid: UUID | None, form: Mapping[str, str]) -> Tokens:
        # In the form body: a query string would end up in access logs.
        data = {**form, "client_secret": self._client_secret}
        secrets = [value for name, value in data.items() if name != "grant_type"]
        about = None if uuid is None else _Call(uuid=uuid, request={"grant_type": form["grant_type"]}, secrets=secrets)
        return tokens_of(await self._call("POST", f"{self._id_url}/oauth/token", about, data=data))

    async def _call(self, method: str, url: str, about: _Call | None, **how: Any) -> Any:
        """One request. The answer's JSON on success, None for an empty body."""
        return json_of(await self._send(method, url, about, **how))

    async def _send(self, method: str, url: str, about: _Call | None, **how: Any) -> httpx2.Response:
        """One request. The answer on success, else one of the kinds in `errors.py`."""
        path = httpx2.URL(url).path
        started = time.perf_counter()
        with self._watch.heroku_call(method, path, httpx2.URL(url).host) as call:
            try:
                async with asyncio.timeout(_LONGEST_CALL.total_seconds()):
                    response = await self._client.request(method, url, **how)
            except (httpx2.RequestError, TimeoutError) as error:
                call.trouble = type(error).__name__
                self._note(about, method, path, started, None, call.trouble)
                raise Retry(f"{method} {path}: {call.trouble}") from error
            call.status = status = response.status_code
        _log.info(
            "heroku called", method=method, path=path, status=status, heroku_id=response.headers.get("Request-Id")
        )
        self._note(about, method, path, started, response)
        if status == 401:
            raise Unauthorized(f"{method} {path}: Heroku answered 401")
        if status in {404, 410}:
            raise Gone(f"{method} {path}: Heroku answered {status}")
        if status == 429:
            raise Retry(f"{method} {path}: Heroku's rate limit", after=retry_after(response))
        if status >= 500:
            raise Retry(f"{method} {path}: Heroku answered {status}", after=retry_after(response))
        if status >= 300:
            raise Refused(f"{method} {path}: Heroku answered {status}: {message_of(response)}")
        return response

    def _note(
        self,
        about: _Call | None,
        method: str,
        path: str,
        started: float,
        response: httpx2.Response | None,
        trouble: str | None = None,
    ) -> None:
        if (
            about is None
            or self._note_exchange is None
            or (about.is_look and response is not None and response.is_success)
        ):
            return
        answer = json_of(response) if response is not None else {"error": trouble}
        answer = answer if isinstance(answer, dict) else {}
        tokens = [answer.get(name) for name in ("access_token", "refresh_token")]
        secrets: Iterable[str | None] = [*about.secrets, *(one for one in tokens if isinstance(one, str))]
        request_id = response.headers.get("Request-Id") if response is not None else None
        self._note_exchange(
            Exchange(
                uuid=about.uuid,
                direction="out",
                method=method,
                path=path,
                status=None if response is None else response.status_code,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
                request_id=None if request_id is None else readable({"id": request_id}, secrets=secrets)["id"],
                request=readable(about.request) or None,
                answer=readable({name: answer.get(name) for name in _READABLE}, secrets=secrets) or None,
            )
        )
