"""The facts of a run that every format tells, and what they add up to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from app.conformance.requirement import Level
from app.conformance.run import Result


@dataclass(frozen=True)
class Report:
    """One run. `addon` is the manifest's id, `manifest` its file as it was named, `seconds` how long the run took.

    `repeat` returns the command that checks one requirement again, by its id. An interrupted run is not complete.
    With `is_strict` an unmet SHOULD fails the run.
    """

    addon: str
    base_url: str
    manifest: str
    started_at: datetime
    seconds: float
    results: Sequence[Result]
    repeat: Callable[[str], str]
    is_complete: bool = True
    is_strict: bool = False

    @property
    def groups(self) -> list[tuple[str, list[Result]]]:
        """The results by group, both in the order of the run."""
        return [(name, list(ones)) for name, ones in groupby(self.results, lambda one: one.requirement.group)]

    @property
    def has_passed(self) -> bool:
        return self.is_complete and not any(self.fails_the_run(one) for one in self.results)

    def fails_the_run(self, result: Result) -> bool:
        weighs = self.is_strict or result.requirement.level is Level.MUST or result.ends_the_run
        return result.outcome == "failed" and weighs

    def count(self, outcome: str, level: Level | None = None) -> int:
        return sum(one.outcome == outcome and level in {None, one.requirement.level} for one in self.results)

    @property
    def summary(self) -> str:
        """One line: what passed, what failed by weight, what was skipped, and how long it took."""
        failed = self.count("failed")
        by_level = f" ({self.count('failed', Level.MUST)} MUST, {self.count('failed', Level.SHOULD)} SHOULD)"
        return (
            f"{self.count('passed')} passed, {failed} failed{by_level if failed else ''}, "
            f"{self.count('skipped')} skipped in {self.seconds:.1f} s{'' if self.is_complete else '; interrupted'}"
        )

    @property
    def verdict(self) -> str:
        if not self.is_complete:
            return "The run was interrupted: this is only what was checked until then."
        for result in self.results:
            if result.ends_the_run:
                return f"{self.addon} stopped answering at {result.requirement.id}: the rest could not be checked."
        if not self.has_passed:
            return f"{self.addon} does not meet the partner API yet."
        if not self.count("failed") + self.count("passed"):
            return "Nothing was checked: every requirement was skipped."
        if self.count("failed"):
            return f"{self.addon} meets every MUST; the SHOULDs above are good conduct."
        return f"{self.addon} meets every requirement that was checked."
