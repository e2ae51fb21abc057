"""The correct add-on behind somebody who alters what passes: for faults too small to have a switch of their own."""

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

from addon import AddOn
from addon_heroku import GaveUp
from passing import Passing

_BASE = "/heroku/resources"


def tampered(alter: Callable[[Passing], None]) -> type[AddOn]:
    """Return the add-on's class, altered."""

    class Tampered(AddOn):
        def __init__(self, *args: Any, **how: Any) -> None:
            super().__init__(*args, **how)
            self._correct, self.app = self.app, self._pass_on

        async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
            message = await receive()
            while message.get("more_body"):
                message = message | (more := await receive()) | {"body": message["body"] + more["body"]}
            sent: list[Any] = []

            async def receive_again() -> Any:
                return message

            async def keep(part: Any) -> None:
                sent.append(part)

            await self._correct(scope, receive_again, keep)
            passing = _passing(scope, message["body"], sent)
            before = copy.deepcopy(passing)
            alter(passing)
            for part in sent if passing == before else _messages(passing):
                await send(part)

    return Tampered


def _passing(scope: Any, content: bytes, sent: list[Any]) -> Passing:
    answer = b"".join(part.get("body", b"") for part in sent)
    body = _parsed(content)
    in_path = scope["path"].removeprefix(_BASE).strip("/")
    in_body = body.get("uuid", "") if isinstance(body, dict) else ""
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["raw_path"].decode()
    return Passing(
        scope["method"], path, in_path or in_body, headers, content, body, sent[0]["status"], _parsed(answer)
    )


def _messages(passing: Passing) -> list[Any]:
    content = b"" if passing.answer is None else json.dumps(passing.answer).encode()
    headers = [(b"content-type", passing.content_type.encode())] if content else []
    return [
        {"type": "http.response.start", "status": passing.status, "headers": headers},
        {"type": "http.response.body", "body": content},
    ]


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


class DeprovisionsInTheBackground(AddOn):
    """Answers DELETE with 202 and says later that it is done."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._correct, self.app = self.app, self._pass_on
        self._work: set[asyncio.Task[None]] = set()

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        resource = self.store.resources.get(scope["path"].rpartition("/")[2])
        if scope["method"] != "DELETE" or resource is None:
            await self._correct(scope, receive, send)
            return
        self._work.add(asyncio.create_task(self._announce(resource)))
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _announce(self, resource: Any) -> None:
        try:
            await self.heroku.call(resource, "POST", f"/addons/{resource.uuid}/actions/deprovision")
        except GaveUp as error:  # the simulator knows no removal in the background, and says so
            self.log(f"{error}")
