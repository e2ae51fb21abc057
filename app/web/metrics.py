"""`/metrics`, for Prometheus: only where METRICS_TOKEN is set, and only for who brings it."""

import asyncio
import hmac
from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from app.context import Context
from app.operations import metrics
from app.web.dependencies import OpenContext
from app.web.description import for_machines
from app.web.limits import count_failure

router = APIRouter()

# Several who ask at once, or one who asks again and again, cost the database no more than one.
_FRESH: Final = timedelta(seconds=5)


class Told:
    """What was told last; one at a time finds out anew."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._last: tuple[datetime, bytes] | None = None

    async def text(self, context: Context) -> bytes:
        """Everything, as it was at most five seconds ago."""
        async with self._lock:
            if self._last is None or context.clock() - self._last[0] >= _FRESH:
                self._last = context.clock(), await metrics.text(context)
            return self._last[1]


@router.get(
    "/metrics",
    response_class=Response,
    responses=for_machines(401, 404, 429, 503) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def tell(request: Request, context: OpenContext) -> Response:
    """What is counted and how things stand, in Prometheus's text format."""
    wanted = context.settings.metrics_token
    if wanted is None:
        raise HTTPException(404)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(token.strip().encode(), wanted.get_secret_value().encode())
    if not (scheme.lower() == "bearer" and is_right):
        await count_failure(request, context, "metrics")
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    told: Told = request.app.state.metrics_told
    headers = {"Cache-Control": "no-store"}
    return Response(await told.text(context), headers=headers, media_type=CONTENT_TYPE_LATEST)
