"""Running checks one after the other, and what became of each."""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal

from app.simulator import AddOnFailed, HerokuError
from app.simulator.exchanges import without_secrets
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
    """Run the checks; each cleans up after itself, whatever happened.

    The results come in the given order, but what another requirement needs is found out before it.
    """
    requirements, known = list(requirements), dict[str, Result]()
    by_id = {one.id: one for one in requirements}
    causes: dict[str, list[str]] = {}  # by id, the failures because of which something says nothing, itself or others

    async def result_of(requirement: Requirement) -> Result:
        if requirement.id not in known:
            needed = [await result_of(by_id[one]) for one in requirement.needs if one in by_id]
            failed = list(dict.fromkeys(cause for one in needed for cause in causes.get(one.requirement.id, [])))
            on_start(requirement)
            result = _skipped(requirement, failed) if failed else await _run_one(bench, requirement)
            causes[requirement.id] = [requirement.id] if result.outcome == "failed" else failed
            known[requirement.id] = result
        return known[requirement.id]

    for requirement in requirements:
        on_result(await result_of(requirement))
    return [known[one.id] for one in requirements]


def _skipped(requirement: Requirement, failed: Sequence[str]) -> Result:
    return Result(requirement, "skipped", 0, f"It needs {', '.join(failed)}, which failed.")


async def _run_one(bench: Bench, requirement: Requirement) -> Result:
    before, started = bench.world.exchanges[-1:], time.monotonic()
    bench.measured.clear()
    error: Exception | None = None
    try:
        await requirement.check(bench)
    except Exception as raised:  # noqa: BLE001 - a mistake of the checker must not end the run
        error = raised
    seconds = time.monotonic() - started
    latest = _latest(bench.world.exchanges, before)
    # What is said is written before the clean-up: afterwards nobody knows any more which texts were secret.
    measured = {name: without_secrets(bench.world, text) for name, text in bench.measured.items()}
    result = _result(bench, requirement, error, latest)
    await bench.clean_up()
    return replace(result, seconds=seconds, measured=measured)


def _result(bench: Bench, requirement: Requirement, error: Exception | None, latest: Sequence[Exchange]) -> Result:
    if error is None:
        return Result(requirement, "passed", 0)
    if isinstance(error, NotApplicable):
        return Result(requirement, "skipped", 0, without_secrets(bench.world, str(error)))
    reason, expected, evidence = _failure(error)
    reason, expected = without_secrets(bench.world, reason), without_secrets(bench.world, expected)
    return Result(requirement, "failed", 0, reason, expected, latest if evidence is None else [evidence])


def _latest(exchanges: Sequence[Exchange], before: Sequence[Exchange]) -> list[Exchange]:
    """Return the newest exchanges since `before`, the newest first; old ones are forgotten, so nothing is counted."""
    since = takewhile(lambda one: not any(one is known for known in before), reversed(exchanges))
    return list(islice(since, _SHOWN_EXCHANGES))


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
