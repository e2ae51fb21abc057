"""The least that an ASGI server program can be asked to do: the same short answer to every request."""

from typing import Any

_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"15")]


async def hello(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer. What the server program says at its start and its end is not for us."""
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["method"] == "POST":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b'{"status":"ok"}'})


def app() -> Any:
    """For the server program."""
    return hello
