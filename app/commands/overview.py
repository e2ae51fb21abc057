"""`python -m app overview`: how the business goes and how the program is now, without a browser."""

import json
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table as Grid

from app.commands.terminal import AsJson, in_context
from app.context import Context
from app.operations import overview as heart
from app.operations.overview import Overview, Present
from app.operations.periods import read_period

_UTC: Final = ZoneInfo("UTC")


def overview(
    period: Annotated[str, typer.Option(help="Days up to today: today, 7, 30, 90 or 365.")] = "",
    since: Annotated[str, typer.Option("--since", help="The first day instead, in UTC: 2026-11-01.")] = "",
    until: Annotated[str, typer.Option("--until", help="The last day, by default today.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Show how the business goes, and what waits or fails now.

    Installs, plans, waiting times and failures are those of a period; the rest is of this moment.
    """

    async def work(context: Context) -> tuple[Overview, Present, dict[str, Any]]:
        words = {"period": period, "from": since, "to": until}
        found = await heart.overview(context, read_period(words, _UTC, context.clock()))
        tables = heart.tables(found, context.plans, is_iso=True)
        rows = {
            name: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for name, table in tables.items()
        }
        return found, await heart.present(context), rows

    found, present, rows = in_context(work)
    now, figures = _now(present), _figures(found)
    if as_json:
        days = {"first": str(found.period.first), "last": str(found.period.last)}
        typer.echo(json.dumps({"period": days, "figures": figures, "now": now, **rows}, indent=2))
        return
    typer.echo(f"From {found.period.first} to {found.period.last}, UTC")
    _print(figures)
    typer.echo("\nNow")
    _print(now)


def _figures(found: Overview) -> dict[str, Any]:
    growth, made = found.growth, found.provisioning
    installs, removals = sum(growth.installs), sum(growth.removals)
    return {
        "installs": installs,
        "removals": removals,
        "net": installs - removals,
        "churn": growth.churn,
        "add-ons at the end": sum(growth.end.values()),
        "plans at the end": dict(growth.end),
        "plan changes": sum(number for _, _, number in growth.changes),
        "seconds to provision, median": heart.seconds(made.whole.median) if made.whole else None,
        "seconds to provision, 95th percentile": heart.seconds(made.whole.p95) if made.whole else None,
        "provisioning failed": sum(made.failures),
        "failure rate": made.failure_rate,
        "config pushes": sum(found.pushes),
    }


def _now(present: Present) -> dict[str, Any]:
    return {
        "open alerts": present.alerts,
        "jobs in the queue": present.jobs,
        "oldest job due, seconds": round(present.oldest_job.total_seconds(), 1),
        "provisioning": present.provisioning,
        "pushes waiting": present.pushes_waiting,
        "tokens refused": present.tokens_refused,
        "over quota": present.over_quota,
        "suspended": present.suspended,
        "deprovisioned, kept": present.kept,
    }


def _print(facts: dict[str, Any]) -> None:
    grid = Grid(box=None, pad_edge=False, show_header=False)
    for name, value in facts.items():
        grid.add_row(name, _words(value))
    Console().print(grid)


def _words(value: Any) -> str:
    match value:
        case None:
            return "-"
        case dict():
            return ", ".join(f"{name} {number:,}" for name, number in value.items() if number) or "-"
        case float() if value < 1:
            return f"{value:.3g}"
        case _:
            return f"{value:,}"
