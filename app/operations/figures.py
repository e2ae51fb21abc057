"""What has happened in a period, in numbers: asked of the events and the resources themselves, through their indexes.

How many resources were provisioned on which plan at any time is worked out backwards from those that are now:
`plan_before` and `plan_after` of the events since then say what to take away.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.operations.periods import Period
from app.resources.models import Resource, State
from app.resources.traces import Event

_PUSHED: Final = "config_pushed"
_FOR_EVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


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


def _spans(spans: Sequence[tuple[datetime, datetime]]) -> Any:
    """Stretches of time as rows: `span` counts from 1, then `begins_at` and `ends_at`.

    Each is looked up in an index of its own accord, which is a third faster than to group by the number of the stretch.
    """
    begins, ends = (literal([span[end] for span in spans], ARRAY(TIMESTAMP(timezone=True))) for end in (0, 1))
    columns = func.unnest(begins, ends).table_valued("begins_at", "ends_at", with_ordinality="span", name="spans")
    return columns.render_derived()


async def growth(context: Context, period: Period) -> Growth:
    """Installs, removals and plan changes."""
    spans = _spans([*period.spans, (period.until, _FOR_EVER)])
    moved = or_(Event.plan_before.is_not(None), Event.plan_after.is_not(None))
    moves = (
        select(Event.plan_before, Event.plan_after, func.count().label("number"))
        .where(moved, Event.at >= spans.c.begins_at, Event.at < spans.c.ends_at)
        .group_by(Event.plan_before, Event.plan_after)
        .lateral()
    )
    mix = select(Resource.plan, func.count()).where(Resource.state == State.PROVISIONED).group_by(Resource.plan)
    async with context.database.transaction() as session:
        # What a transaction that commits between these two has moved is off by one; the next look is right.
        rows = (await session.execute(select(spans.c.span, *moves.c).join_from(spans, moves, true()))).all()
        now: Counter[str] = Counter(dict((await session.execute(mix)).all()))
    number_of_steps = len(period.spans)
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
    spans = _spans([*period.spans, (period.since, period.until)])
    seconds = func.extract("epoch", Resource.provisioned_at - Resource.created_at)
    waits = (
        select(func.count().label("number"), func.percentile_cont([0.5, 0.95]).within_group(seconds).label("both"))
        .where(Resource.provisioned_at >= spans.c.begins_at, Resource.provisioned_at < spans.c.ends_at)
        .lateral()
    )
    async with context.database.transaction() as session:
        rows = (await session.execute(select(spans.c.span, *waits.c).join_from(spans, waits, true()))).all()
        failures = await _numbers(session, period, Resource.deprovisioned_at, Resource.refusal.is_not(None))
    found = {span: Wait(number=number, median=both[0], p95=both[1]) for span, number, both in rows if number}
    whole = len(period.spans) + 1
    return Provisioning(waits=[found.get(span) for span in range(1, whole)], whole=found.get(whole), failures=failures)


async def pushes(context: Context, period: Period) -> Sequence[int]:
    """How many times config vars were sent to Heroku, by step."""
    async with context.database.transaction() as session:
        return await _numbers(session, period, Event.at, Event.kind == _PUSHED)


async def _numbers(session: AsyncSession, period: Period, at: Any, condition: ColumnElement[bool]) -> list[int]:
    """How many rows meet the condition, by the step in which their time `at` is."""
    spans = _spans(period.spans)
    number = select(func.count()).where(condition, at >= spans.c.begins_at, at < spans.c.ends_at).scalar_subquery()
    return list(await session.scalars(select(number).select_from(spans).order_by(spans.c.span)))
