"""Trouble on order: make the next call slow, fail, vanish, come twice or too late, to see whether the add-on copes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .errors import invalid
from .records import Direction

Kind = Literal[
    "slow",
    "rate_limit",
    "error",
    "drop",
    "lost_answer",
    "duplicate",
    "reorder",
    "expire_token",
    "revoke_token",
    "deprovision",
]

KINDS: dict[Kind, str] = {
    "slow": "Slow: the answer takes some seconds longer",
    "rate_limit": "429 with Retry-After",
    "error": "An error status",
    "drop": "Dropped connection: the request never arrives",
    "lost_answer": "Lost answer: the work is done, the answer never arrives",
    "duplicate": "Duplicate: the same request twice at once",
    "reorder": "Out of order: the next call about the same add-on overtakes this one",
    "expire_token": "Expired token: the access token that comes has expired just now",  # nosec B105 # words about one
    "revoke_token": "Revoked token: the access token that comes, and its refresh token, are no more",  # nosec B105 # as above
    "deprovision": "Removed meanwhile: the customer removes the add-on while it is being provisioned",
}
DIRECTIONS: dict[Direction, str] = {
    "add-on": "Heroku calls the add-on",
    "tokens": "The add-on asks for a token",
    "platform": "The add-on calls the platform API",
    "customer": "A customer's tool calls the platform API",
    "webhook": "Heroku delivers a webhook",
    "logs": "Log lines: to a drain, or from an add-on",
}
# Kinds that mean something only to some calls, and why. The rest fit every direction.
_ONLY: dict[Kind, tuple[frozenset[str], str]] = {
    "duplicate": (
        frozenset({"add-on", "webhook", "logs"}),
        "Only calls to the add-on can be sent twice: the simulator does not send the others.",
    ),
    "expire_token": (frozenset({"platform"}), "Only calls to the platform API carry an access token that can expire."),
    "revoke_token": (frozenset({"platform"}), "Only calls to the platform API carry a token that can be revoked."),
    "deprovision": (
        frozenset({"add-on", "platform"}),
        "An add-on is removed during a call to it, or before one of its calls to the platform API.",
    ),
}


@dataclass
class Fault:
    """One order for trouble. `seconds` is the delay of slow, the Retry-After of rate_limit, the patience of reorder."""

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

    @property
    def is_in_the_way(self) -> bool:
        """Tell whether the request never arrives: its sender sees `status_instead`, or nothing when that is None."""
        return self.kind in {"rate_limit", "error", "drop"}

    @property
    def status_instead(self) -> int | None:
        return {"rate_limit": 429, "error": self.status}.get(self.kind)

    def __str__(self) -> str:
        detail = {
            "slow": f"{self.seconds:g} s slower",
            "rate_limit": f"429, Retry-After {self.seconds:g} s",
            "error": f"status {self.status}",
            "drop": "dropped connection",
            "lost_answer": "lost answer",
            "duplicate": "sent twice at once",
            "reorder": f"overtaken by the next call, or {self.seconds:g} s late",
            "expire_token": "the access token expired just now",  # nosec B105 # words about one
            "revoke_token": "the access token and its refresh token were revoked just now",  # nosec B105 # as above
            "deprovision": "the customer removes the add-on meanwhile",
        }
        return detail[self.kind]


@dataclass
class Faults:
    """The trouble still to come, oldest first; each call takes at most one."""

    pending: list[Fault] = field(default_factory=list)
    on_change: Callable[[], None] = field(default=lambda: None, repr=False)
    _last_id: int = 0
    _held: list[tuple[Direction, str | None, asyncio.Event]] = field(default_factory=list, repr=False)

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
        """Order trouble for the next `count` calls of that direction, verb and path (any part of it).

        `deprovision` strikes a provision request, or, for `platform`, `actions/provision` unless a path is given.
        """
        if kind not in KINDS:
            raise invalid(f"There is no fault {kind!r}; choose one of {', '.join(KINDS)}.")
        if direction not in DIRECTIONS:
            raise invalid(f"There is no direction {direction!r}; choose one of {', '.join(DIRECTIONS)}.")
        if kind in _ONLY and direction not in _ONLY[kind][0]:
            raise invalid(_ONLY[kind][1])
        if not 1 <= count <= 1000:
            raise invalid("A fault's count is 1 to 1000.")
        if not 0 <= seconds <= 3600:
            raise invalid("A fault's seconds are 0 to 3600.")
        if not 400 <= status <= 599:
            raise invalid("A fault's status is 400 to 599.")
        method, path = method.upper() if method else None, path or None
        if kind == "deprovision" and direction == "add-on":
            if method not in {None, "POST"}:
                raise invalid("The add-on is removed while it is being provisioned: that call is a POST.")
            method = "POST"
        elif kind == "deprovision":
            path = path or "/actions/provision"
        self._last_id += 1
        fault = Fault(self._last_id, kind, direction, count, seconds, status, method, path)
        self.pending.append(fault)
        self.on_change()
        return fault

    def take(
        self, direction: Direction, method: str, path: str, *, without: Collection[Kind] = ()
    ) -> Fault | None:  # fmt: skip
        """Return the trouble this call gets, None for a fair call; kinds of `without` wait for another call."""
        for fault in self.pending:
            if fault.kind not in without and fault.fits(direction, method, path):
                fault.count -= 1
                if fault.count == 0:
                    self.pending.remove(fault)
                self.on_change()
                return fault
        return None

    async def hold(self, fault: Fault, about: str | None, sleep: Callable[[float], Awaitable[None]]) -> bool:
        """Keep a call waiting until the next of its direction about the same add-on has been answered.

        `about` is the add-on's id, None when it is not known: then any call of the direction will do. Returns False
        when none came within the fault's seconds.
        """
        overtaken = asyncio.Event()
        held = (fault.direction, about, overtaken)
        self._held.append(held)
        waits = [asyncio.ensure_future(overtaken.wait()), asyncio.ensure_future(sleep(fault.seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._held.remove(held)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return overtaken.is_set()

    def passed(self, direction: Direction, about: str | None) -> None:
        """Let go of the calls that wait for this one, which has been answered."""
        for held_direction, held_about, overtaken in self._held:
            if held_direction == direction and (held_about is None or held_about == about):
                overtaken.set()

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
