"""One requirement of the partner API: what must be true of an add-on, where Heroku says so, and how to find out."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.simulator.records import Exchange

    from .bench import Bench

Check = Callable[["Bench"], Awaitable[None]]


class Level(StrEnum):
    """How much it matters: Heroku's platform fails or customers lose without a MUST; a SHOULD is good conduct."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True)
class Requirement:
    """`id` is what `--only` takes; `sentence` says what is true of a correct add-on; `doc` is Heroku's page.

    `needs` names requirements without which this one says nothing: it is skipped when one of them failed.
    """

    id: str
    group: str
    level: Level
    sentence: str
    doc: str
    needs: tuple[str, ...]
    check: Check


class Unmet(Exception):
    """The add-on does not meet the requirement. `expected` and what was `seen` are sentences without secrets.

    `evidence` is the exchange that shows it; without one the latest of the check's exchanges is shown.
    """

    def __init__(self, expected: str, seen: str, evidence: "Exchange | None" = None) -> None:
        super().__init__(f"{seen} {expected}")
        self.expected = expected
        self.seen = seen
        self.evidence = evidence


class NotApplicable(Exception):
    """The requirement does not apply to this add-on, or cannot be seen from here; the message says why."""


def must(group: str, doc: str, *, needs: Sequence[str] = ()) -> Callable[[Check], Requirement]:
    """Make a requirement of a check: its name is the id, its docstring the sentence."""
    return _maker(group, Level.MUST, doc, needs)


def should(group: str, doc: str, *, needs: Sequence[str] = ()) -> Callable[[Check], Requirement]:
    """Make a requirement like `must`, of less weight."""
    return _maker(group, Level.SHOULD, doc, needs)


def _maker(group: str, level: Level, doc: str, needs: Sequence[str]) -> Callable[[Check], Requirement]:
    def make(check: Check) -> Requirement:
        sentence = " ".join((inspect.getdoc(check) or "").split())
        name = check.__name__.replace("_", "-")
        return Requirement(name, group, level, sentence, doc, tuple(needs), check)

    return make
