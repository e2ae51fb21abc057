"""A stand-in for Heroku that takes its time and does nothing else, so that only we are measured.

It answers every call of the platform API after LATENCY_MS, and at `/pushes` what has come in since it began:
how many config pushes, for how many add-ons, and over how many seconds.
"""

import asyncio
import json
import os
import time
from typing import Any
from uuid import uuid4

_pushes: list[tuple[str, float]] = []
# A stand-in gives no real ones.
_TOKENS = {"access_token": "a-token", "refresh_token": "another", "expires_in": 28_800, "token_type": "Bearer"}  # nosec B105


async def _heroku(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"]
    if path == "/health/live":
        answer: Any = {"status": "ok"}
    elif path == "/pushes":
        answer = _counted()
    else:
        await asyncio.sleep(int(os.environ["LATENCY_MS"]) / 1000)
        answer = _answer(scope["method"], path, body)
    text = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _answer(method: str, path: str, body: bytes) -> Any:
    if path == "/oauth/token":
        return _TOKENS
    if path.endswith("/config"):
        if method == "PATCH":
            _pushes.append((path.split("/")[2], time.monotonic()))
            return json.loads(body)["config"]
        return []
    if path.endswith("/webhooks"):
        return {"id": str(uuid4())} if method == "POST" else []
    return {}


def _counted() -> dict[str, float]:
    times = [at for _, at in _pushes]
    return {
        "pushes": len(times),
        "addons": len({addon for addon, _ in _pushes}),
        "seconds": max(times) - min(times) if times else 0,
    }


def app() -> Any:
    """For the server program."""
    return _heroku
