"""Doors that note what Heroku asked and what it was told: see `exchanges.py`.

What was not proved to come from Heroku is not noted, or strangers could fill the table: it is in the log alone.
"""

import json
import time
from collections.abc import Callable, Coroutine, Iterable
from inspect import signature
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from app.context import Context
from app.exchanges import Exchange, readable
from app.web.errors import KINDS, answer

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class NotedRoute(APIRoute):
    """A route whose requests are noted, once it has said whom they are `about`."""

    def get_route_handler(self) -> Handle:
        """As FastAPI makes it, with the answers to errors made here, so that they are noted too."""
        return _noted(super().get_route_handler())


class DirectRoute(APIRoute):
    """The same for a route that has no time to lose: its function is given the request, and does everything itself.

    What FastAPI does around a function, dependencies above all, takes longer than such a function; and its address is
    looked up in a table (see `EveryRequest`) instead of being compared with those of all other routes.
    """

    def get_route_handler(self) -> Handle:
        """The function itself, its answers to errors made here and noted.

        Raises:
            TypeError: it wants something else than the request, or something is to be done before it.
        """
        if list(signature(self.endpoint).parameters) != ["request"] or self.dependencies:
            raise TypeError(f"{self.path}: the function of a direct route gets the request and nothing else")
        self.handle_directly = _noted(self.endpoint)
        return self.handle_directly


class JsonAnswer(Response):
    """An answer in JSON that is noted without being read again, and kept by nobody on its way."""

    media_type = "application/json"

    def __init__(self, content: dict[str, Any], status: int) -> None:
        super().__init__(to_json(content), status, {"Cache-Control": "no-store"})
        self.content = content


def direct_routes(router: APIRouter) -> dict[tuple[str, str], DirectRoute]:
    """The direct routes of a router, by method and path."""
    found = [route for route in router.routes if isinstance(route, DirectRoute)]
    return {(method, route.path): route for route in found for method in route.methods or ()}


def _noted(handle: Handle) -> Handle:
    async def noted(request: Request) -> Response:
        started = time.perf_counter()
        status: int | None = None
        told: dict[str, Any] = {}
        try:
            try:
                response = await handle(request)
            except KINDS as error:
                response = await answer(request, error)
            status, told = response.status_code, _told(response)
        except Exception:
            status = 500
            raise
        else:
            return response
        finally:
            _note(request, started, status, told)

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


def _note(request: Request, started: float, status: int | None, told: dict[str, Any]) -> None:
    uuid, facts, secrets = getattr(request.state, "about", (None, {}, ()))
    if uuid is None:
        return
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
            path=readable({"path": request.scope["path"]})["path"],
            status=status,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
            request_id=getattr(request.state, "request_id", None),
            request=readable(facts, secrets=secrets) or None,
            answer=(readable(said, secrets=(*secrets, *config.values())) or None) if said else None,
        )
    )


def _told(response: Response) -> dict[str, Any]:
    if isinstance(response, JsonAnswer):
        return response.content
    try:
        found = json.loads(bytes(response.body)) if response.body else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
