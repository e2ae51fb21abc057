"""Numbers of several rounds, and what they say beside each other."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """At least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{words(self.median)} ({words(self.low)}-{words(self.high)})"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the picture."""

    label: str
    spread: Spread
    is_ours: bool = False


def words(value: float) -> str:
    """A number with as many digits as are worth reading."""
    if math.isnan(value):
        return "?"
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratios(values: Sequence[float], others: Sequence[float]) -> Spread:
    """How many times the others the values are, round by round: what slows one round down slows both.

    A round in which nothing was done tells nothing; without any other the ratio is not a number.
    """
    pairs = zip(values, others, strict=True)
    return Spread.of([value / other for value, other in pairs if other] or [math.nan])
