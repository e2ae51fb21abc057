"""Everything that operators can do to a resource, in the order in which it is offered."""

from collections.abc import Mapping
from typing import Final

from app.operations.action import Action
from app.operations.credentials import PUSH_CONFIG, REFRESH_TOKEN, RETIRE_NOW, ROTATE
from app.operations.ending import DEPROVISION, PURGE, RESTORE
from app.operations.service import MOVE_PLAN, RESUME, SUSPEND
from app.operations.webhooks import HANDLE_AGAIN
from app.operations.work import RETRY_NOW, SKIP_JOB

ACTIONS: Final[Mapping[str, Action]] = {
    action.id: action
    for action in (
        RETRY_NOW,
        PUSH_CONFIG,
        REFRESH_TOKEN,
        ROTATE,
        RETIRE_NOW,
        MOVE_PLAN,
        SUSPEND,
        RESUME,
        SKIP_JOB,
        HANDLE_AGAIN,
        DEPROVISION,
        RESTORE,
        PURGE,
    )
}
