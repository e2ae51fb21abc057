"""Trouble on order: make the next call slow, fail, vanish or arrive twice, to see whether the add-on copes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .errors import invalid
from .records import Direction

Kind = Literal["slow", "rate_limit", "error", "drop", "lost_answer", "duplicate"]

KINDS: dict[Kind, str] = {
    "slow": "Slow: the answer takes some seconds longer",
    "rate_limit": "429 with Retry-After",
    "error": "An error status",
    "drop": "Dropped connection: the request never arrives",
    "lost_answer": "Lost answer: the work is done, the answer never arrives",
    "duplicate": "Duplicate: the same request twice at once",
}
DIRECTIONS: dict[Direction, str] = {
    "add-on": "Heroku calls the add-on",
    "tokens": "The add-on asks for a token",
    "platform": "The add-on calls the platform API",
    "customer": "A customer's tool calls the platform API",
    "webhook": "Heroku delivers a webhook",
}


@dataclass
class Fault:
    """One order for trouble. `seconds` is the delay of slow and the Retry-After of rate_limit."""

    id: int
    kind: Kind
    direction: Direction
    count: int
    seconds: float
    status: int
    method: str | None
    path: str | None

    def fits(self, direction: Direction, method: str, path: str) -> bool:
        return (
            self.direction == direction
            and (self.method is None or self.method == method)
            and (self.path is None or self.path in path)
        )

    def __str__(self) -> str:
        detail = {
            "slow": f"{self.seconds:g} s slower",
            "rate_limit": f"429, Retry-After {self.seconds:g} s",
            "error": f"status {self.status}",
            "drop": "dropped connection",
            "lost_answer": "lost answer",
            "duplicate": "sent twice at once",
        }
        return detail[self.kind]


@dataclass
class Faults:
    """The trouble still to come, oldest first; each call takes at most one."""

    pending: list[Fault] = field(default_factory=list)
    on_change: Callable[[], None] = field(default=lambda: None, repr=False)
    _last_id: int = 0

    def add(
        self,
        kind: Kind,
        *,
        direction: Direction = "add-on",
        count: int = 1,
        seconds: float = 5,
        status: int = 503,
        method: str | None = None,
        path: str | None = None,
    ) -> Fault:
        """Order trouble for the next `count` calls of that direction, verb and path (any part of it)."""
        if kind not in KINDS:
            raise invalid(f"There is no fault {kind!r}; choose one of {', '.join(KINDS)}.")
        if direction not in DIRECTIONS:
            raise invalid(f"There is no direction {direction!r}; choose one of {', '.join(DIRECTIONS)}.")
        if kind == "duplicate" and direction not in {"add-on", "webhook"}:
            raise invalid("Only calls to the add-on can be sent twice: the simulator does not send the others.")
        if not 1 <= count <= 1000:
            raise invalid("A fault's count is 1 to 1000.")
        if not 0 <= seconds <= 3600:
            raise invalid("A fault's seconds are 0 to 3600.")
        if not 400 <= status <= 599:
            raise invalid("A fault's status is 400 to 599.")
        self._last_id += 1
        fault = Fault(
            self._last_id, kind, direction, count, seconds, status, method.upper() if method else None, path or None
        )
        self.pending.append(fault)
        self.on_change()
        return fault

    def take(self, direction: Direction, method: str, path: str) -> Fault | None:
        """Return the trouble this call gets, None for a fair call."""
        for fault in self.pending:
            if fault.fits(direction, method, path):
                fault.count -= 1
                if fault.count == 0:
                    self.pending.remove(fault)
                self.on_change()
                return fault
        return None

    def clear(self) -> None:
        self.pending.clear()
        self.on_change()


def fault_arguments(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Read the arguments of `Faults.add` from a form or from JSON; empty fields count as absent."""
    known = {"kind": str, "direction": str, "count": int, "seconds": float, "status": int, "method": str, "path": str}
    unknown = raw.keys() - known.keys()
    if unknown:
        raise invalid(f"A fault has no field {min(unknown)!r}; its fields are {', '.join(known)}.")
    try:
        arguments = {name: known[name](value) for name, value in raw.items() if value not in ("", None)}
    except (OverflowError, TypeError, ValueError):
        raise invalid("A fault's count and status are whole numbers, its seconds a number.") from None
    if "kind" not in arguments:
        raise invalid(f"A fault needs a kind: one of {', '.join(get_args(Kind))}.")
    return arguments
