"""Running checks one after the other, and what became of each."""

import asyncio
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal
from uuid import uuid4

import httpx2

from app.simulator import AddOnFailed, HerokuError
from app.simulator.calls import NO_CONTACT
from app.simulator.exchanges import without_secrets
from app.simulator.records import Exchange

from .bench import Bench
from .presence import silence_at
from .requirement import NotApplicable, Requirement, Unmet

Outcome = Literal["passed", "failed", "skipped"]
_SHOWN_EXCHANGES = 4


@dataclass(frozen=True)
class Result:
    """What became of one requirement. `reason` says why it failed or was skipped; `measured` are figures, by name.

    `evidence` are exchanges with secrets masked, the one that shows the failure first. After the one that
    `ends_the_run` the add-on answered nothing any more, and the rest is skipped.
    """

    requirement: Requirement
    outcome: Outcome
    seconds: float
    reason: str = ""
    expected: str = ""
    evidence: Sequence[Exchange] = ()
    measured: dict[str, str] = field(default_factory=dict)
    ends_the_run: bool = False


async def run(
    bench: Bench,
    requirements: Iterable[Requirement],
    *,
    wait: float = 10,
    on_start: Callable[[Requirement], None] = lambda _: None,
    on_result: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Run the checks; each cleans up after itself, whatever happened.

    The results come in the given order, but what another requirement needs is found out before it. An add-on that
    crashed has `wait` seconds to come back.
    """
    requirements, known = list(requirements), dict[str, Result]()
    by_id = {one.id: one for one in requirements}
    causes: dict[str, list[str]] = {}  # by id, the failures because of which something says nothing, itself or others

    async def result_of(requirement: Requirement) -> Result:
        if requirement.id not in known:
            needed = [await result_of(by_id[one]) for one in requirement.needs if one in by_id]
            failed = list(dict.fromkeys(cause for one in needed for cause in causes.get(one.requirement.id, [])))
            on_start(requirement)
            if any(one.ends_the_run for one in known.values()):
                result = Result(requirement, "skipped", 0, "The add-on had stopped answering.")
            elif failed:
                result = Result(requirement, "skipped", 0, f"It needs {', '.join(failed)}, which failed.")
            else:
                result = await _run_one(bench, requirement, wait)
            causes[requirement.id] = [requirement.id] if result.outcome == "failed" else failed
            known[requirement.id] = result
        return known[requirement.id]

    for requirement in requirements:
        on_result(await result_of(requirement))
    return [known[one.id] for one in requirements]


async def _run_one(bench: Bench, requirement: Requirement, wait: float) -> Result:
    now = asyncio.get_running_loop().time
    before, started = bench.world.exchanges[-1:], now()
    bench.measured.clear()
    error: Exception | None = None
    try:
        await requirement.check(bench)
    except Exception as raised:  # noqa: BLE001 - a mistake of the checker must not end the run
        error = raised
    seconds = now() - started
    latest = _latest(bench.world.exchanges, before)
    # What is said is written before the clean-up: afterwards nobody knows any more which texts were secret.
    measured = {name: without_secrets(bench.world, text) for name, text in bench.measured.items()}
    result = _result(bench, requirement, error, latest)
    asked = [one.status for one in latest if one.direction == "add-on"]
    if result.outcome == "failed" or None in asked:
        result = await _with_silence(bench, result, wait)
    if asked and not any(asked) and not result.ends_the_run:
        result, _ = await asyncio.gather(_with_hanging(bench, result), bench.clean_up())
    else:
        await bench.clean_up()
    return replace(result, seconds=seconds, measured=measured)


async def _with_silence(bench: Bench, result: Result, wait: float) -> Result:
    """Say so when the add-on is gone: it crashed in this check, and whatever comes later must not be blamed for it."""
    silence = await silence_at(bench.base_url, within=wait, transport=bench.transport)
    if silence is None:
        return result
    if silence.has_ended:
        seen = (
            f"Afterwards the add-on answered nothing for {silence.seconds:.1f} s, as if it had crashed and restarted."
        )
    else:
        seen = f"Afterwards the add-on answers nothing ({silence.error}): it crashed, now or shortly before."
    return _ended(result, seen, ends_the_run=not silence.has_ended)


def _ended(result: Result, seen: str, *, ends_the_run: bool) -> Result:
    return replace(
        result,
        outcome="failed",
        reason=f"{result.reason if result.outcome == 'failed' else ''} {seen}".strip(),
        expected=result.expected or "After every request the add-on works as before.",
        ends_the_run=ends_the_run,
    )


async def _with_hanging(bench: Bench, result: Result) -> Result:
    """Say so when the add-on leaves Heroku's calls unanswered although its server is there, as one in a deadlock.

    It was asked for something in this check, in vain; this call is about nothing that could stand in its way.
    """
    answer = await bench.delete(str(uuid4()))
    if answer.status is not None:
        return result
    seen = f"Afterwards a DELETE of an unknown uuid got no answer for {answer.seconds:.0f} s: the add-on hangs."
    return _ended(result, seen, ends_the_run=True)


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
            return _said_of(error), "The add-on does what Heroku asks.", None
        case HerokuError():
            return f"Heroku refused: {error.message}", "Heroku carries out what a customer asks.", None
        case httpx2.HTTPError():
            return f"There was no answer ({type(error).__name__}).", "The add-on answers.", None
        case _:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}, line {place.lineno}"
            return (
                f"The checker itself failed ({type(error).__name__} in {where}).",
                "A check ends with a verdict.",
                None,
            )


def _said_of(error: AddOnFailed) -> str:
    """Say what the add-on did, where the customer reads no more than that it went wrong."""
    if error.message != NO_CONTACT:
        return error.message
    if error.partner_status == 401:
        return "The add-on answered 401: is its password that of the manifest, or of ADDON_PASSWORD?"
    did = "gave no answer" if error.partner_status is None else f"answered {error.partner_status}"
    return f"The add-on {did}; the customer reads: {NO_CONTACT}."
