"""What `/metrics` tells: the counts of all processes added up, and how things stand at this moment.

Of several web processes a scrape reaches one, and on Heroku it cannot reach a worker at all. So every process adds what
it has counted to rows in our own database, every few seconds and once more at its end, and whichever is asked tells the
sum. A process that is killed takes the last seconds of its counts with it; a restart resets nothing.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID, uuid4

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, Text, delete, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, insert

from app.context import Context
from app.errors import Retry
from app.operations import gauges
from app.operations.models import MetricCount, ProcessReport
from app.resources.outcomes import JOBS

_log = structlog.get_logger(__name__)

Kind = Literal["web", "worker"]

_PAUSE: Final = timedelta(seconds=10)
# A stopping process has little time, and this is the least of what it has to do.
_LAST_WRITE: Final = timedelta(seconds=3)
# Three reports that did not come: the process is gone, or hangs.
_SILENT: Final = timedelta(seconds=35)
_FORGOTTEN: Final = timedelta(hours=1)

_OF_A_PROCESS: Final = {
    "addon_database_connections_in_use": "Connections to our own database that are at work, of each kind of process.",
    "addon_database_connections_most": "Connections to our own database that there may be at most.",
    "addon_exchanges_waiting": "Exchanges with Heroku that wait to be written.",
}


@asynccontextmanager
async def being_counted(context: Context, kind: Kind) -> AsyncIterator[None]:
    """Within the block, and once more at its end, what this process has counted is added to the others' counts."""
    if context.settings.metrics_token is None:
        yield
        return
    context.watch.metrics.expect(plans=context.plans, jobs=JOBS)
    over, id_ = asyncio.Event(), uuid4()
    await _tried(_report(context, id_, kind))
    writer = asyncio.create_task(_write_until(context, over, id_, kind))
    try:
        yield
    finally:
        over.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(_end(context, writer, id_), _LAST_WRITE.total_seconds())


async def _write_until(context: Context, over: asyncio.Event, id_: UUID, kind: Kind) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _PAUSE.total_seconds())
        await _tried(write(context))
        if not over.is_set():
            await _tried(_report(context, id_, kind))


async def _end(context: Context, writer: "asyncio.Task[None]", id_: UUID) -> None:
    await writer
    await _tried(_forget(context, ProcessReport.id == id_))


async def _tried(work: Awaitable[None]) -> None:
    """Measuring the work must not stop it."""
    try:
        await work
    except Retry as retry:
        _log.warning("counts wait to be written", reason=str(retry))
    except Exception:  # noqa: BLE001 - as above
        _log.exception("counts could not be written")


async def write(context: Context) -> None:
    """Add what this process has counted since the last time.

    Raises:
        Retry: the database is not available; what was counted waits in memory.
    """
    counts = context.watch.metrics.take()
    if not counts:
        return
    # In one order, whoever writes: two processes must not wait for each other's rows.
    lines = sorted((count.name, json.dumps(dict(count.labels)), count.value) for count in counts)
    names, labels, values = zip(*lines, strict=True)
    lists = (literal(names, ARRAY(Text)), literal(labels, ARRAY(Text)), literal(values, ARRAY(DOUBLE_PRECISION)))
    rows = func.unnest(*lists).table_valued("name", "labels", "value").render_derived()
    add = insert(MetricCount).from_select(["name", "labels", "value"], select(rows))
    try:
        async with context.database.transaction() as session:
            await session.execute(
                add.on_conflict_do_update(
                    index_elements=["name", "labels"], set_={"value": MetricCount.value + add.excluded.value}
                )
            )
    except BaseException:
        context.watch.metrics.give_back(counts)
        raise


async def _report(context: Context, id_: UUID, kind: Kind) -> None:
    now = context.clock()
    said = {
        "addon_database_connections_in_use": context.database.connections_in_use,
        "addon_database_connections_most": context.database.connections_most,
        "addon_exchanges_waiting": len(context.exchanges),
    }
    told = insert(ProcessReport).values(id=id_, kind=kind, reported_at=now, gauges=said)
    newest = {"reported_at": told.excluded.reported_at, "gauges": told.excluded.gauges}
    async with context.database.transaction() as session:
        await session.execute(told.on_conflict_do_update(index_elements=["id"], set_=newest))
    await _forget(context, ProcessReport.reported_at < now - _FORGOTTEN)


async def _forget(context: Context, condition: ColumnElement[bool]) -> None:
    async with context.database.transaction() as session:
        await session.execute(delete(ProcessReport).where(condition))


async def text(context: Context) -> bytes:
    """Everything, as Prometheus reads it (text format, version 1.0.0).

    Raises:
        Retry: the database is not available.
    """
    await write(context)
    stored: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    async with context.database.transaction() as session:
        for row in (await session.execute(select(MetricCount.name, MetricCount.labels, MetricCount.value))).all():
            stored[row.name].append((json.loads(row.labels), row.value))
        living = ProcessReport.reported_at > context.clock() - _SILENT
        reports = (await session.scalars(select(ProcessReport).where(living))).all()
    families = [*context.watch.metrics.families(stored), *_processes(reports), *await gauges.families(context)]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(families))
    return generate_latest(registry)


def _processes(reports: Sequence[ProcessReport]) -> Iterator[Metric]:
    living = GaugeMetricFamily("addon_processes", "Processes that live, of each kind.", labels=["kind"])
    for kind in ("web", "worker"):
        living.add_metric([kind], sum(report.kind == kind for report in reports))
    yield living
    for name, says in _OF_A_PROCESS.items():
        family = GaugeMetricFamily(name, says, labels=["kind"])
        for kind in ("web", "worker"):
            family.add_metric([kind], sum(report.gauges.get(name, 0) for report in reports if report.kind == kind))
        yield family


class _Found(Collector):
    """What the library asks for the lines that it writes."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families
