"""Everything that operators can do to a resource, in the order in which it is offered."""

from collections.abc import Mapping
from typing import Final

from app.operations.action import Action
from app.operations.credentials import PUSH_CONFIG

ACTIONS: Final[Mapping[str, Action]] = {action.id: action for action in (PUSH_CONFIG,)}
