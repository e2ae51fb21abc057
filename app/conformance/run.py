"""Running checks one after the other, and what became of each."""

import time
import traceback
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.simulator import AddOnFailed, HerokuError
from app.simulator.records import Exchange

from .bench import Bench
from .requirement import NotApplicable, Requirement, Unmet

Outcome = Literal["passed", "failed", "skipped"]
_SHOWN_EXCHANGES = 4


@dataclass(frozen=True)
class Result:
    """What became of one requirement. `reason` says why it failed or was skipped; `measured` are figures, by name.

    `evidence` are exchanges with secrets masked, the one that shows the failure first.
    """

    requirement: Requirement
    outcome: Outcome
    seconds: float
    reason: str = ""
    expected: str = ""
    evidence: Sequence[Exchange] = ()
    measured: dict[str, str] = field(default_factory=dict)


async def run(
    bench: Bench,
    requirements: Iterable[Requirement],
    *,
    on_start: Callable[[Requirement], None] = lambda _: None,
    on_result: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Run the checks in order; each cleans up after itself, whatever happened."""
    results: list[Result] = []
    for requirement in requirements:
        on_start(requirement)
        result = await _run_one(bench, requirement, {one.requirement.id for one in results if one.outcome == "failed"})
        results.append(result)
        on_result(result)
    return results


async def _run_one(bench: Bench, requirement: Requirement, failed: Collection[str]) -> Result:
    missing = [needed for needed in requirement.needs if needed in failed]
    if missing:
        return Result(requirement, "skipped", 0, f"It needs {', '.join(missing)}, which failed.")
    seen, started = len(bench.world.exchanges), time.monotonic()
    bench.measured.clear()
    error: Exception | None = None
    try:
        await requirement.check(bench)
    except Exception as raised:  # noqa: BLE001 - a mistake of the checker must not end the run
        error = raised
    seconds = time.monotonic() - started
    latest = list(bench.world.exchanges)[seen:][: -_SHOWN_EXCHANGES - 1 : -1]
    await bench.clean_up()
    measured = dict(bench.measured)
    match error:
        case None:
            return Result(requirement, "passed", seconds, measured=measured)
        case NotApplicable():
            return Result(requirement, "skipped", seconds, str(error), measured=measured)
        case _:
            reason, expected, evidence = _failure(error)
            shown = latest if evidence is None else [evidence]
            return Result(requirement, "failed", seconds, reason, expected, shown, measured)


def _failure(error: Exception) -> tuple[str, str, Exchange | None]:
    """Say what was seen, what was expected, and what shows it."""
    match error:
        case Unmet():
            return error.seen, error.expected, error.evidence
        case AddOnFailed():
            return error.message, "The add-on does what Heroku asks.", None
        case HerokuError():
            return f"Heroku refused: {error.message}", "Heroku carries out what a customer asks.", None
        case _:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}, line {place.lineno}"
            return (
                f"The checker itself failed ({type(error).__name__} in {where}).",
                "A check ends with a verdict.",
                None,
            )
