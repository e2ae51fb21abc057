"""The log drain: Heroku brings what apps have logged, if the manifest requires `syslog_drain`.

https://devcenter.heroku.com/articles/accessing-application-logs-as-an-add-on-partner. All resources have one address;
whose lines they are is proved by the token in the header, which Heroku has sent with the provision. Nothing is read
without it. What is no log is answered 400, and Heroku then drops it: sent again it would be no better.
"""

from typing import Final
from uuid import uuid4

import structlog
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from app.context import Context
from app.resources.log_drain import Intake
from app.resources.log_lines import BadLines, read_lines
from app.web.dependencies import OpenContext
from app.web.description import for_machines
from app.web.errors import BadRequest
from app.web.limits import count_failure
from app.web.middleware import read_body

PATH: Final = "/heroku/logs"

router = APIRouter()

# In bytes; Heroku's batches have about 100 KB.
LARGEST_BATCH: Final = 512 * 1024
_LONGEST_BATCH_ID: Final = 100

_log = structlog.get_logger(__name__)


def drain_url(context: Context) -> str | None:
    """What a provision request is answered as `log_drain_url`; None if the manifest asks for no logs."""
    return f"{context.settings.public_url}{PATH}" if "syslog_drain" in context.manifest.api.requires else None


@router.post(PATH, status_code=204, responses=for_machines(400, 403, 429, 503))
async def take_lines(request: Request, context: OpenContext) -> None:
    """204 when the driver has taken them, 403 without a token of ours, 400 for what is no log, 503 for "again"."""
    intake: Intake = request.app.state.log_intake
    token = request.headers.get("Logplex-Drain-Token", "")
    resource = await intake.find(token) if token else None
    if resource is None:
        _log.warning("refused lines of a log: no resource has such a drain")
        await count_failure(request, context, "log drain")
        raise HTTPException(403)
    structlog.contextvars.bind_contextvars(resource=str(resource.uuid))
    try:
        lines = read_lines(await read_body(request.scope, request.receive, LARGEST_BATCH))
    except BadLines as error:
        raise BadRequest(str(error)) from None
    count = request.headers.get("Logplex-Msg-Count")
    if count is not None and count.strip() != str(len(lines)):
        raise BadRequest("Logplex-Msg-Count is not the number of messages.")
    batch = request.headers.get("Logplex-Frame-Id", "")
    # Without an id it cannot be known again.
    await intake.hand_over(resource, batch if 0 < len(batch) <= _LONGEST_BATCH_ID else str(uuid4()), lines)
