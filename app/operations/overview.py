"""The overview: how the business went in a period, as tables, and how the program is at this moment."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import and_, func, select, text

from app.context import Context
from app.job_queue import oldest_due_age
from app.operations import figures
from app.operations.figures import Growth, Provisioning
from app.operations.models import Alert
from app.operations.periods import Period
from app.plans import Plan
from app.resources.models import Resource, State

Cell = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The numbers of a chart or a list. `name` is its address, `columns` say the units, rows are in order of time."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All figures of a period."""

    period: Period
    growth: Growth
    provisioning: Provisioning
    pushes: Sequence[int]


async def overview(context: Context, period: Period) -> Overview:
    """Ask for everything."""
    return Overview(
        period=period,
        growth=await figures.growth(context, period),
        provisioning=await figures.provisioning(context, period),
        pushes=await figures.pushes(context, period),
    )


async def is_empty(context: Context) -> bool:
    """Whether nobody has ever installed the add-on."""
    async with context.database.transaction() as session:
        return await session.scalar(select(Resource.uuid).limit(1)) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """How the program is now, in numbers of resources where nothing else is said.

    Attributes:
        jobs: how many jobs wait in the queue, also those whose time has not come.
        oldest_job: how long the one that waits longest has been due.
        provisioning: not ready yet.
        pushes_waiting: Heroku has older config vars than we want it to have.
        tokens_refused: Heroku has refused their tokens and accepted none since.
        over_quota: they use more than their plan allows.
        suspended: operators have closed them.
        kept: deprovisioned, but not yet removed for ever.
        alerts: alerts that are not over.
    """

    jobs: int
    oldest_job: timedelta
    provisioning: int
    pushes_waiting: int
    tokens_refused: int
    over_quota: int
    suspended: int
    kept: int
    alerts: int


_JOBS: Final = text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")


async def present(context: Context) -> Present:
    """Count what is the case now; each number is found by an index of its own."""
    is_here = Resource.state != State.DEPROVISIONED
    conditions = {
        "provisioning": Resource.state == State.PROVISIONING,
        "pushes_waiting": and_(Resource.config_version > Resource.pushed_version, is_here),
        "tokens_refused": and_(Resource.tokens_refused_at.is_not(None), is_here),
        "over_quota": and_(Resource.over_quota_at.is_not(None), is_here),
        "suspended": Resource.suspended_at.is_not(None),
        "kept": Resource.kept_until.is_not(None),
    }
    counts = {
        name: select(func.count()).select_from(Resource).where(condition).scalar_subquery().label(name)
        for name, condition in conditions.items()
    }
    alerts = select(func.count()).select_from(Alert).where(Alert.closed_at.is_(None)).scalar_subquery().label("alerts")
    async with context.database.transaction() as session:
        row = (await session.execute(select(*counts.values(), alerts))).one()
        jobs = await session.scalar(_JOBS)
        return Present(jobs=jobs or 0, oldest_job=await oldest_due_age(session), **row._mapping)  # noqa: SLF001 - public despite its underscore


def installs_table(period: Period, growth: Growth, *, is_iso: bool = False) -> Table:
    """Installs and removals, step by step."""
    steps = zip(_names(period, is_iso), growth.installs, growth.removals, growth.mixes, strict=True)
    rows: list[list[Cell]] = [[name, new, gone, new - gone, sum(mix.values())] for name, new, gone, mix in steps]
    columns = [period.unit.capitalize(), "Installs", "Removals", "Net", "Add-ons at its end"]
    return Table(name="installs", title="Installs and removals", columns=columns, rows=rows)


def plans_table(period: Period, growth: Growth, *, is_iso: bool = False) -> Table:
    """Add-ons by plan, at the end of each step."""
    plans = growth.plans
    rows: list[list[Cell]] = [
        [name, *(mix.get(plan, 0) for plan in plans)]
        for name, mix in zip(_names(period, is_iso), growth.mixes, strict=True)
    ]
    return Table(name="plans", title="Add-ons by plan", columns=[period.unit.capitalize(), *plans], rows=rows)


def changes_table(growth: Growth, plans: Mapping[str, Plan]) -> Table:
    """Plan changes, the most frequent first, with what they are worth at list prices."""
    rows: list[list[Cell]] = []
    for before, after, number in growth.changes:
        each = _difference(plans, before, after)
        rows.append([before, after, number, each, None if each is None else each * number])
    columns = ["From", "To", "Changes", "Each, USD a month", "Together, USD a month"]
    return Table(name="changes", title="Plan changes", columns=columns, rows=rows)


def _difference(plans: Mapping[str, Plan], before: str, after: str) -> float | None:
    if before not in plans or after not in plans:
        return None
    return (plans[after].price_cents - plans[before].price_cents) / 100


def provisioning_table(period: Period, found: Provisioning, *, is_iso: bool = False) -> Table:
    """Waiting times and failures, step by step."""
    rows: list[list[Cell]] = []
    for name, wait, failed in zip(_names(period, is_iso), found.waits, found.failures, strict=True):
        median, p95 = (seconds(wait.median), seconds(wait.p95)) if wait else (None, None)
        rows.append([name, wait.number if wait else 0, median, p95, failed])
    columns = [period.unit.capitalize(), "Provisioned", "Median, seconds", "95th percentile, seconds", "Failed"]
    return Table(name="provisioning", title="Time to provision", columns=columns, rows=rows)


def pushes_table(period: Period, numbers: Sequence[int], *, is_iso: bool = False) -> Table:
    """Config pushes, step by step."""
    rows: list[list[Cell]] = [[name, number] for name, number in zip(_names(period, is_iso), numbers, strict=True)]
    return Table(name="pushes", title="Config pushes", columns=[period.unit.capitalize(), "Pushes"], rows=rows)


def tables(found: Overview, plans: Mapping[str, Plan], *, is_iso: bool = False) -> Mapping[str, Table]:
    """Every table, by name; with times for programs if `is_iso`."""
    period = found.period
    every = (
        installs_table(period, found.growth, is_iso=is_iso),
        plans_table(period, found.growth, is_iso=is_iso),
        changes_table(found.growth, plans),
        provisioning_table(period, found.provisioning, is_iso=is_iso),
        pushes_table(period, found.pushes, is_iso=is_iso),
    )
    return {table.name: table for table in every}


def list_price(mix: Mapping[str, int], plans: Mapping[str, Plan]) -> float:
    """What so many add-ons cost their customers a month, in dollars, at list prices. Heroku keeps its share of it."""
    return sum(number * plans[plan].price_cents for plan, number in mix.items() if plan in plans) / 100


def seconds(duration: float) -> float:
    """A duration with three digits, which is more than anybody reads."""
    return round(duration, max(0, 2 - math.floor(math.log10(duration)))) if duration > 0 else 0.0


def _names(period: Period, is_iso: bool) -> Sequence[str]:  # noqa: FBT001 - handed through
    return period.iso_steps if is_iso else period.steps
