"""How the add-on calls Heroku: tokens with one refresh at a time, and calls that are repeated when that can help."""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from addon_store import Resource

if TYPE_CHECKING:
    from addon import AddOn

_TRIES = 10
_REFRESHES = 3
_LONGEST_PAUSE_SECONDS = 0.2
_MOST_RETRY_AFTER_SECONDS = 30


class Gone(Exception):
    """Heroku no longer knows the resource."""


class GaveUp(Exception):
    """It will not work; the message has no secrets."""


class Heroku:
    def __init__(self, addon: "AddOn", transport: httpx2.AsyncBaseTransport | None) -> None:
        self._addon = addon
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._client = httpx2.AsyncClient(transport=transport, timeout=10, trust_env=False)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def call(self, resource: Resource, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Call the platform API for one resource; raises Gone or GaveUp."""
        refreshes = 0
        tries = 2 if self._addon.has("two-tries-are-enough") else _TRIES
        for attempt in range(tries):
            if attempt and method == "PATCH" and self._addon.has("repeated-push-issues-credentials"):
                resource.key = secrets.token_hex(16)
                body = {"config": [{"name": name, "value": value} for name, value in resource.config.items()]}
            token = await self.token(resource)
            if self._addon.has("one-token-for-all"):
                token = next(one.access_token for one in self._addon.store.resources.values() if one.access_token)
            response = await self._send(resource, method, path, body, token)
            status = None if response is None else response.status_code
            self._addon.log(f"Heroku answered {status} to {method} for {resource.uuid}.")
            if self._addon.has("heroku-status-ignored"):
                return response or httpx2.Response(200, json=[])
            if status == 401 and refreshes < _REFRESHES and not self._addon.has("never-refreshes"):
                refreshes += 1
                await self._renew(resource, token)
            elif response is not None and _is_final(response.status_code):
                return response
            elif self._addon.has("never-retries") or (
                self._addon.has("announcement-not-repeated") and path.endswith("/actions/provision")
            ):
                raise GaveUp(f"Heroku answered {status}.")
            else:
                await self._wait(response, attempt)
        raise GaveUp(f"Heroku did not answer well in {tries} tries.")

    async def _send(self, resource: Resource, method: str, path: str, body: Any, token: str) -> httpx2.Response | None:
        host = self._addon.settings.heroku_url
        if self._addon.has("token-sent-to-callback-host") and resource.callback_url:
            parts = urlsplit(resource.callback_url)
            host = f"{parts.scheme}://{parts.netloc}"
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}
        try:
            return await self._client.request(method, f"{host}{path}", json=body, headers=headers)
        except httpx2.HTTPError:
            return None

    async def write_log(self, resource: Resource) -> None:
        """Write into the app's log that the keys are there, with the first work; a line that is lost is lost."""
        if resource.log_input_url is None or resource.is_subscribed:
            return
        parts = urlsplit(resource.log_input_url)
        line = "<190>1 2026-05-01T12:00:00+00:00 host acme-keys keys - - The keys are ready."
        content = line if self._addon.has("log-line-not-framed") else f"{len(line)} {line}"
        with contextlib.suppress(httpx2.HTTPError):
            await self._client.post(
                parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
                content=content.encode(),
                auth=(parts.username or "", parts.password or ""),
                headers={"Content-Type": "application/logplex-1", "Logplex-Msg-Count": "1", "User-Agent": "acme-keys"},
            )

    async def _wait(self, response: httpx2.Response | None, attempt: int) -> None:
        if self._addon.has("retries-at-once"):
            return
        if response is None or response.status_code != 429:
            await self._pause(attempt)
        elif not self._addon.has("retry-after-ignored"):
            seconds = float(response.headers.get("retry-after", "1"))
            await asyncio.sleep(min(seconds, _MOST_RETRY_AFTER_SECONDS))

    async def token(self, resource: Resource) -> str:
        async with self._locks[resource.uuid]:
            if resource.access_token is None:
                await self._exchange(resource)
            elif self._addon.now() >= resource.refresh_at and not self._addon.has("never-refreshes"):
                await self._refresh(resource)
            return resource.access_token or ""

    async def _renew(self, resource: Resource, used: str) -> None:
        """Get another token than the one that was refused, unless somebody else just did."""
        if self._addon.has("every-401-refreshes"):
            await self._refresh(resource)
            return
        async with self._locks[resource.uuid]:
            if resource.access_token == used:
                await self._refresh(resource)

    async def _exchange(self, resource: Resource) -> None:
        if resource.grant_code is None or self._addon.has("grant-never-exchanged"):
            raise GaveUp("There is no grant to exchange.")
        await self._take_token(resource, {"grant_type": "authorization_code", "code": resource.grant_code})
        if self._addon.has("grant-exchanged-twice"):
            await self._ask_for_token({"grant_type": "authorization_code", "code": resource.grant_code})
        resource.grant_code = None
        self._addon.store.save()

    async def _refresh(self, resource: Resource) -> None:
        fields = {"grant_type": "refresh_token", "refresh_token": resource.refresh_token or ""}
        await self._take_token(resource, fields)

    async def _take_token(self, resource: Resource, fields: dict[str, str]) -> None:
        has = self._addon.has
        if has("grant-in-log"):
            self._addon.log(f"Token request: {fields}")
        for attempt in range(100 if has("refused-token-asked-for-ever") else _TRIES):
            response = await self._ask_for_token(fields)
            if has("token-in-log") and response is not None:
                self._addon.log(f"Token answer: {response.text}")
            if has("token-status-ignored") and response is not None:
                resource.access_token = response.json().get("access_token", "none")
                resource.refresh_token = response.json().get("refresh_token")
                resource.refresh_at = self._addon.now() + 3600
                return
            if response is not None and response.status_code == 200:
                answer = response.json()
                resource.access_token = answer["access_token"]
                if not (has("new-refresh-token-thrown-away") and resource.refresh_token):
                    resource.refresh_token = answer["refresh_token"]
                lives = answer["expires_in"]
                resource.refresh_at = self._addon.now() + (
                    lives * 0.75 if not has("refreshes-only-after-expiry") else lives
                )
                self._addon.store.save()
                return
            is_final = response is not None and response.status_code < 500 and attempt >= 2
            if has("never-retries") or (is_final and not has("refused-token-asked-for-ever")):
                break
            if not (has("retries-at-once") or has("refused-token-asked-for-ever")):
                await self._pause(attempt)
        raise GaveUp("Heroku gave no token.")

    async def _ask_for_token(self, fields: dict[str, str]) -> httpx2.Response | None:
        url = f"{self._addon.settings.heroku_url}/oauth/token"
        everything = fields | {"client_secret": self._addon.settings.client_secret}
        try:
            if self._addon.has("client-secret-in-query"):
                return await self._client.post(url, params=everything)
            return await self._client.post(url, data=everything)
        except httpx2.HTTPError:
            return None

    async def _pause(self, attempt: int) -> None:
        seconds = min(self._addon.settings.pause_seconds * 2**attempt, _LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(seconds)


def _is_final(status: int) -> bool:
    """Tell whether a status is a success, not to be repeated; raises Gone or GaveUp when nothing will ever help."""
    if status in {404, 410}:
        raise Gone
    if 400 <= status < 500 and status != 429:
        raise GaveUp(f"Heroku answered {status}.")
    return status < 400
