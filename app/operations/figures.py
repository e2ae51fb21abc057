"""What has happened in a period, in numbers: asked of the events and the resources themselves, through their indexes.

How many resources were provisioned on which plan at any time is worked out backwards from those that are now:
`plan_before` and `plan_after` of the events since then say what to take away.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from app.context import Context
from app.operations.periods import Period
from app.resources.models import Resource, State
from app.resources.traces import Event

_PUSHED: Final = "config_pushed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How many add-ons there were and which plans they had.

    Attributes:
        begin: provisioned add-ons by plan, at the begin of the period.
        mixes: the same at the end of each step.
        installs: by step; those that became provisioned.
        removals: by step; of those that had been provisioned.
        changes: from plan, to plan, how many; most frequent first.
    """

    begin: Mapping[str, int]
    mixes: Sequence[Mapping[str, int]]
    installs: Sequence[int]
    removals: Sequence[int]
    changes: Sequence[tuple[str, str, int]]

    @property
    def end(self) -> Mapping[str, int]:
        """Provisioned add-ons by plan, at the end of the period."""
        return self.mixes[-1]

    @property
    def churn(self) -> float | None:
        """Which share of the add-ons that were there at the begin has been removed; None if there were none."""
        there = sum(self.begin.values())
        return sum(self.removals) / there if there else None

    @property
    def plans(self) -> Sequence[str]:
        """Every plan that somebody had at some time of the period, the most frequent one at its end first."""
        found = {plan for mix in (self.begin, *self.mixes) for plan, number in mix.items() if number}
        return sorted(found, key=lambda plan: (-self.end.get(plan, 0), plan))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long it took until add-ons were provisioned, in seconds: the median, and what 95 of 100 stayed below."""

    number: int
    median: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """How provisioning went: `waits` and `failures` by step, `whole` for the period; None where nothing was."""

    waits: Sequence[Wait | None]
    whole: Wait | None
    failures: Sequence[int]

    @property
    def failure_rate(self) -> float | None:
        """Which share of what was to be provisioned never was; None if there was nothing."""
        failed = sum(self.failures)
        ended = failed + (self.whole.number if self.whole else 0)
        return failed / ended if ended else None


def _step(period: Period, at: Any) -> ColumnElement[int]:
    """In which step a time is: 0 is before the first, and one more than there are is after the last."""
    return func.width_bucket(at, literal(list(period.bounds), ARRAY(TIMESTAMP(timezone=True)))).label("step")


async def growth(context: Context, period: Period) -> Growth:
    """Installs, removals and plan changes."""
    moved = (Event.plan_before.is_not(None)) | (Event.plan_after.is_not(None))
    moves = select(_step(period, Event.at), Event.plan_before, Event.plan_after, func.count())
    moves = moves.where(moved, Event.at >= period.since).group_by("step", Event.plan_before, Event.plan_after)
    mix = select(Resource.plan, func.count()).where(Resource.state == State.PROVISIONED).group_by(Resource.plan)
    async with context.database.transaction() as session:
        # What a transaction that commits between these two has moved is off by one; the next look is right.
        rows = (await session.execute(moves)).all()
        now: Counter[str] = Counter(dict((await session.execute(mix)).all()))
    number_of_steps = len(period.bounds) - 1
    installs, removals, changes = [0] * number_of_steps, [0] * number_of_steps, Counter[tuple[str, str]]()
    come = [Counter[str]() for _ in range(number_of_steps + 1)]
    for step, before, after, number in rows:
        if before is not None:
            come[step - 1][before] -= number
        if after is not None:
            come[step - 1][after] += number
        if step <= number_of_steps:
            if before is None:
                installs[step - 1] += number
            elif after is None:
                removals[step - 1] += number
            else:
                changes[before, after] += number
    mixes = [_without(now, come[-1])]
    for step in reversed(range(number_of_steps)):
        mixes.append(_without(mixes[-1], come[step]))
    begin, *mixes = reversed(mixes)
    return Growth(
        begin=begin,
        mixes=mixes,
        installs=installs,
        removals=removals,
        changes=[(before, after, number) for (before, after), number in changes.most_common()],
    )


def _without(mix: Counter[str], come: Counter[str]) -> Counter[str]:
    """The mix before these came. Never below zero, whatever somebody did to the tables."""
    return Counter({plan: max(mix[plan] - come[plan], 0) for plan in mix.keys() | come.keys()})


async def provisioning(context: Context, period: Period) -> Provisioning:
    """How long it took until add-ons were ready, and how many never were."""
    seconds = func.extract("epoch", Resource.provisioned_at - Resource.created_at)
    step, within = _step(period, Resource.provisioned_at), _within(period, Resource.provisioned_at)
    waits = select(step, func.count(), func.percentile_cont([0.5, 0.95]).within_group(seconds)).where(within)
    # One grouping for the steps and one for the whole, whose step is NULL.
    waits = waits.group_by(func.grouping_sets(tuple_(step), tuple_()))
    step = _step(period, Resource.deprovisioned_at)
    failed = select(step, func.count()).where(Resource.refusal.is_not(None)).group_by(step)
    async with context.database.transaction() as session:
        found = {
            step: Wait(number=number, median=both[0], p95=both[1])
            for step, number, both in await session.execute(waits)
            if number
        }
        failures = dict((await session.execute(failed.where(_within(period, Resource.deprovisioned_at)))).all())
    steps = range(1, len(period.bounds))
    return Provisioning(
        waits=[found.get(step) for step in steps],
        whole=found.get(None),
        failures=[failures.get(step, 0) for step in steps],
    )


async def pushes(context: Context, period: Period) -> Sequence[int]:
    """How many times config vars were sent to Heroku, by step."""
    step = _step(period, Event.at)
    query = select(step, func.count()).where(Event.kind == _PUSHED, _within(period, Event.at)).group_by(step)
    async with context.database.transaction() as session:
        found = dict((await session.execute(query)).all())
    return [found.get(step, 0) for step in range(1, len(period.bounds))]


def _within(period: Period, at: Any) -> ColumnElement[bool]:
    return and_(at >= period.since, at < period.until)
