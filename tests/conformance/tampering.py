"""The correct add-on behind somebody who alters what passes: for faults too small to have a switch of their own."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from addon import AddOn
from addon_heroku import GaveUp


@dataclass
class Passing:
    """One request and its answer; `body` is the parsed request. Tampering sets `status`, `answer` or `content_type`."""

    method: str
    uuid: str
    body: Any
    headers: dict[str, str]
    status: int
    answer: Any
    content_type: str = "application/json"


Tamper = Callable[[Passing], None]


def tampered(tamper: Tamper) -> type[AddOn]:
    """Return the add-on's class, altered."""

    class Tampered(AddOn):
        def __init__(self, *args: Any, **how: Any) -> None:
            super().__init__(*args, **how)
            self._correct, self.app = self.app, self._pass_on

        async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
            if not scope["path"].startswith("/heroku/resources"):
                await self._correct(scope, receive, send)
                return
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
            tamper(passing)
            content = b"" if passing.answer is None else json.dumps(passing.answer).encode()
            headers = [(b"content-type", passing.content_type.encode())] if content else []
            await send({"type": "http.response.start", "status": passing.status, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    return Tampered


def _passing(scope: Any, body: bytes, sent: list[Any]) -> Passing:
    answer = b"".join(part.get("body", b"") for part in sent)
    request = _parsed(body)
    in_path = scope["path"].removeprefix("/heroku/resources").strip("/")
    in_body = request.get("uuid", "") if isinstance(request, dict) else ""
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    return Passing(scope["method"], in_path or in_body, request, headers, sent[0]["status"], _parsed(answer))


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
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
