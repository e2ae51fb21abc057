"""Doors that note what Heroku asked and what it was told: see `exchanges.py`.

What was not proved to come from Heroku is not noted, or strangers could fill the table: it is in the log alone.
"""

import json
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.context import Context
from app.exchanges import Exchange, readable
from app.web.errors import KINDS, answer


class NotedRoute(APIRoute):
    """A route whose requests are noted, once it has said whom they are `about`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI makes it, with the answers to errors made here, so that they are noted too."""
        handle = super().get_route_handler()

        async def noted(request: Request) -> Response:
            started = time.perf_counter()
            status: int | None = None
            body = b""
            try:
                try:
                    response = await handle(request)
                except KINDS as error:
                    response = await answer(request, error)
                status, body = response.status_code, bytes(response.body)
            except Exception:
                status = 500
                raise
            else:
                return response
            finally:
                _note(request, started, status, body)

        return noted


def about(request: Request, uuid: UUID, facts: dict[str, Any], *, secrets: Iterable[str | None] = ()) -> None:
    """Say which resource a request is about, and what may be read of it; Heroku has proved that it is Heroku.

    Args:
        request: in the door.
        uuid: as Heroku gave it; perhaps of no resource of ours.
        facts: what may be kept.
        secrets: what came along and may not, not even repeated in a message.
    """
    request.state.about = (uuid, facts, tuple(secrets))


def _note(request: Request, started: float, status: int | None, body: bytes) -> None:
    uuid, facts, secrets = getattr(request.state, "about", (None, {}, ()))
    if uuid is None:
        return
    told = _json_object(body)
    config = told.get("config")
    config = config if isinstance(config, dict) else {}
    said: dict[str, Any] = {name: told[name] for name in ("id", "message") if name in told}
    if config:
        said["config"] = list(config)
    context: Context = request.app.state.context
    context.exchanges.note(
        Exchange(
            uuid=uuid,
            direction="in",
            method=request.method,
            path=readable({"path": request.url.path})["path"],
            status=status,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
            request=readable(facts, secrets=secrets) or None,
            answer=readable(said, secrets=(*secrets, *config.values())) or None,
        )
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
