"""Comparing our rows with Heroku's list, and mending what differs, from the command line."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from app.commands.terminal import As, AsJson, Reason, in_context, show, who
from app.context import Context
from app.errors import Refused
from app.operations import reconciliation, repairs
from app.operations.models import Difference, Reconciliation

_PAGE = 1_000


def reconcile(
    apply: Annotated[
        list[int] | None,
        typer.Option("--apply", metavar="ID", min=1, max=2**63 - 1, help="Repair this difference; repeat it for more."),
    ] = None,
    reason: Reason = "",
    actor: As = None,
    *,
    last: Annotated[bool, typer.Option("--last", help="Show the newest comparison instead of making one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every resource with Heroku's list of installs, or repair what was found."""
    if apply:
        _repair(apply, reason, actor, as_json=as_json)
        return

    async def work(context: Context) -> tuple[Reconciliation, Sequence[Difference]]:
        run = await reconciliation.latest(context) if last else await _compare(context, actor)
        if run is None:
            raise Refused("Nothing has been compared yet. Run: python -m app reconcile")
        if run.error is not None:
            raise Refused(run.error)
        found: list[Difference] = []
        after = 0
        while page := await reconciliation.differences(context, run.id, after=after, limit=_PAGE):
            found += page
            after = page[-1].id
        return run, found

    run, found = in_context(work)
    agreed = "Heroku and we agree on everything that is older than an hour; what is younger may still be on its way."
    show([_row(one) for one in found], as_json=as_json, empty=agreed)
    number = sum(run.counts.values())
    ours, things = ("" if run.ours == 1 else "s"), "difference" if number == 1 else "differences"
    typer.echo(f"{run.ours:,} resource{ours} here, {run.herokus:,} at Heroku, {number:,} {things}.", err=True)
    if number > len(found):
        typer.echo(f"Only the first {len(found):,} are kept: mend them and compare again.", err=True)
    if run.caution is not None:
        typer.secho(run.caution, err=True, fg="yellow")


async def _compare(context: Context, actor: str | None) -> Reconciliation | None:
    id_ = await reconciliation.ask(context, await who(context, actor))
    await reconciliation.run(context, id_)
    return await reconciliation.get(context, id_)


def _row(one: Difference) -> dict[str, Any]:
    return {
        "id": one.id,
        "uuid": one.resource_uuid,
        "kind": one.kind,
        "here": one.here,
        "heroku": one.there,
        "text": one.text,
        "repair": "done" if one.repaired_at else one.repair,
    }


def _repair(ids: Sequence[int], reason: str, actor: str | None, *, as_json: bool) -> None:
    async def work(context: Context) -> list[repairs.Outcome]:
        return [outcome async for outcome in repairs.apply(context, await who(context, actor), ids, reason)]

    outcomes = in_context(work)
    rows: list[dict[str, Any]] = [
        {"id": one.difference_id, "uuid": one.resource_uuid, "over": one.is_over, "text": one.text} for one in outcomes
    ]
    show(rows, as_json=as_json, empty="Nothing was selected.")
    if not all(outcome.is_over for outcome in outcomes):
        raise typer.Exit(1)
