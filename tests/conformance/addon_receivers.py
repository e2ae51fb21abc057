"""What Heroku sends unasked: webhooks, and the app's log lines."""

import base64
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING

from addon_bodies import Refused, read, refusal_of
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from addon import AddOn

_MOST_BYTES = 1_000_000
_KEPT = 200
_LENGTH = re.compile(rb"([1-9][0-9]{0,8}) ")


class Receivers:
    def __init__(self, addon: "AddOn") -> None:
        self._addon = addon

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/webhooks/{uuid}", self._webhook, methods=["POST"]),
            Route("/drain", self._drain, methods=["POST"]),
        ]

    async def _webhook(self, request: Request) -> Response:
        try:
            return await self._take_event(request)
        except Refused as refused:
            return refusal_of(refused)

    async def _take_event(self, request: Request) -> Response:
        has = self._addon.has
        resource = self._addon.store.resources.get(request.path_params["uuid"])
        if resource is None or not resource.webhook_secret:
            raise Refused(404, "There is no such webhook.")
        body = await read(request, _MOST_BYTES)
        digest = hmac.digest(resource.webhook_secret.encode(), body, hashlib.sha256)
        given = request.headers.get("heroku-webhook-hmac-sha256", "")
        is_signed = hmac.compare_digest(given.encode(), base64.b64encode(digest))
        is_excused = has("webhook-signature-not-checked") or (has("webhook-signature-optional") and not given)
        if not is_signed and not is_excused:
            if has("webhook-refusal-is-200"):
                return Response(status_code=200)
            raise Refused(401, "The signature is wrong.")
        try:
            event_id = json.loads(body)["id"]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise Refused(400, "The body is no event.") from None
        if event_id in resource.seen_events:
            return Response(status_code=409 if has("webhook-repeat-refused") else 204)
        if has("webhook-answered-by-change"):
            await self._addon.heroku.call(resource, "PATCH", f"/addons/{resource.uuid}/config", {"config": []})
        resource.seen_events = [*resource.seen_events, str(event_id)][-_KEPT:]
        self._addon.store.save()
        return Response(status_code=204)

    async def _drain(self, request: Request) -> Response:
        try:
            return await self._take_lines(request)
        except Refused as refused:
            return refusal_of(refused)

    async def _take_lines(self, request: Request) -> Response:
        has = self._addon.has
        token = request.headers.get("logplex-drain-token", "").encode()
        resource = next(
            (
                one
                for one in self._addon.store.resources.values()
                if one.drain_token and hmac.compare_digest(one.drain_token.encode(), token)
            ),
            None,
        )
        if resource is None:
            if has("drain-token-not-checked"):
                return Response(status_code=204)
            raise Refused(403, "No drain has this token.")
        lines = _frames(await read(request, _MOST_BYTES))
        count = request.headers.get("logplex-msg-count")
        if count is not None and count != str(len(lines)) and not has("drain-count-not-checked"):
            raise Refused(400, "The number of messages is another.")
        frame_id = request.headers.get("logplex-frame-id", "")
        if not frame_id or frame_id not in resource.seen_frames:
            resource.log_lines = [*resource.log_lines, *lines][-_KEPT:]
            resource.seen_frames = [*resource.seen_frames, frame_id][-_KEPT:]
            self._addon.store.save()
        elif has("drain-repeat-refused"):
            raise Refused(409, "These lines came before.")
        return Response(status_code=204)


def _frames(body: bytes) -> list[str]:
    """Cut the body into messages by their lengths in bytes."""
    lines, place = [], 0
    while place < len(body):
        found = _LENGTH.match(body, place)
        end = found.end() + int(found[1]) if found else 0
        if found is None or end > len(body):
            raise Refused(400, "The frames cannot be read.")
        lines.append(body[found.end() : end].decode("utf-8", "replace"))
        place = end
    return lines
