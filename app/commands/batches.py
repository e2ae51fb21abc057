"""`python -m app batches`: one action on every resource that a search finds."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.commands.terminal import As, AsJson, Reason, in_context, show, who
from app.context import Context
from app.errors import Refused
from app.operations import batch_progress, batch_selection, batches
from app.operations.action import Action
from app.operations.actions import ACTIONS
from app.operations.batch_progress import Progress as HowFar
from app.operations.batch_selection import Preview
from app.operations.models import ItemState

cli = typer.Typer(no_args_is_help=True, help="One action on many resources: order it, watch it, stop it.")

_GLANCE_SECONDS: Final = 2.0
_FOR_MANY: Final = ", ".join(action.id for action in ACTIONS.values() if action.is_for_many)

BatchId = Annotated[UUID, typer.Argument(help="The id of the batch, as list shows it.")]


@cli.command()
def new(
    query: Annotated[str, typer.Argument(help='What the resources are like: "plan:standard state:provisioned".')],
    action: Annotated[str, typer.Option(help=f"What is done to each: {_FOR_MANY}.")],
    reason: Reason,
    choices: Annotated[
        list[str] | None, typer.Option("--set", help="What the action must be told, as plan=premium; repeat it.")
    ] = None,
    number: Annotated[
        int | None, typer.Option(help="How many resources they are, to confirm; without it you are asked.")
    ] = None,
    actor: As = None,
) -> None:
    """Say what would happen, and order it once you have typed how many resources it is about."""
    parameters = _parameters(choices or [])

    async def work(context: Context) -> UUID:
        by = await who(context, actor)
        chosen = _action(action)
        batches.need(by, chosen)
        preview = await batch_selection.preview(context, chosen, query, parameters)
        _tell(chosen, preview)
        confirmed = number if number is not None else typer.prompt("Type how many they are to confirm", type=int)
        return await batches.order(
            context, by, action=chosen, query=query, parameters=parameters, reason=reason, number=confirmed
        )

    batch_id = in_context(work)
    typer.echo(f"Ordered. The worker begins within seconds: python -m app batches show {batch_id} --watch")


@cli.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show the newest batches."""

    async def work(context: Context) -> list[dict[str, object]]:
        found, _ = await batch_progress.newest(context)
        return [_line(progress) for progress in found]

    show(in_context(work), as_json=as_json, empty="There is no batch yet. Make one: python -m app batches new")


@cli.command("show")
def show_(
    batch_id: BatchId,
    only: Annotated[ItemState | None, typer.Option(help="Only resources that are so.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until it is over, with a bar.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a batch is, and with --only what became of each resource."""

    async def work(context: Context) -> list[dict[str, object]]:
        progress = await _find(context, batch_id)
        if watch:
            progress = await _watch(context, progress)
        if only is None:
            return [_line(progress)]
        return [
            {"uuid": item.uuid, "name": item.name, "plan": item.plan, "outcome": item.state, "message": item.message}
            async for chunk in batch_progress.every_item(context, batch_id, state=only)
            for item in chunk
        ]

    show(in_context(work), as_json=as_json, empty=f"No resource is {only}.")


@cli.command()
def pause(batch_id: BatchId, actor: As = None) -> None:
    """Begin with no further resource; what has begun finishes."""

    async def work(context: Context) -> None:
        await batches.pause(context, await who(context, actor), batch_id)

    in_context(work)
    typer.echo("It is paused.")


@cli.command()
def resume(batch_id: BatchId, actor: As = None) -> None:
    """Go on with a paused batch."""

    async def work(context: Context) -> None:
        await batches.resume(context, await who(context, actor), batch_id)

    in_context(work)
    typer.echo("It goes on.")


@cli.command()
def cancel(batch_id: BatchId, actor: As = None) -> None:
    """Leave out for good what has not begun; what has begun finishes."""

    async def work(context: Context) -> None:
        await batches.cancel(context, await who(context, actor), batch_id)

    in_context(work)
    typer.echo("It is cancelled.")


def _action(action_id: str) -> Action:
    if action_id not in ACTIONS:
        raise Refused(f"There is no action {action_id}. For many there are: {_FOR_MANY}.")
    return ACTIONS[action_id]


def _parameters(choices: list[str]) -> Mapping[str, str]:
    parameters = {}
    for choice in choices:
        name, sign, value = choice.partition("=")
        if not sign:
            raise typer.BadParameter("--set takes a name and a value, as plan=premium.")
        parameters[name] = value
    return parameters


def _tell(action: Action, preview: Preview) -> None:
    plans = ", ".join(f"{number:,} on {plan}" for plan, number in preview.plans.items())
    how_many = "1 resource" if preview.number == 1 else f"{preview.number:,} resources"
    typer.echo(f"{action.title}: {how_many}; {plans}.", err=True)
    if preview.looked_at < preview.number:
        typer.echo(f"There was time to look at {preview.looked_at:,} of them only.", err=True)
    for sentence, number in preview.refused.items():
        typer.secho(f"{number:,} would be refused: {sentence}", err=True, fg="yellow")
    if preview.foretold is not None:
        typer.echo(f"For one of them: {preview.foretold}", err=True)
    for parameter, choices in preview.parameters:
        values = ", ".join(value for value, _ in choices) or parameter.no_choices
        typer.echo(f"--set {parameter.name}= one of: {values}", err=True)


def _line(progress: HowFar) -> dict[str, Any]:
    batch = progress.batch
    return {
        "id": batch.id,
        "action": batches.action_title(batch),
        "state": batch.state,
        "done": progress.counts[ItemState.DONE],
        "failed": progress.counts[ItemState.FAILED],
        "of": progress.number,
        "search": batch.query,
        "ordered_by": batch.ordered_by,
        "resumed_by": batch.actor if batch.actor != batch.ordered_by else None,
        "ordered_at": batch.created_at,
        "ends_at": batch.ended_at or progress.ends_at,
        "note": batch.note,
    }


async def _find(context: Context, batch_id: UUID) -> HowFar:
    progress = await batch_progress.find(context, batch_id)
    if progress is None:
        raise Refused("There is no such batch.")
    return progress


async def _watch(context: Context, progress: HowFar) -> HowFar:
    """Draw a bar until nothing moves any more; a paused batch is not waited for."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(batches.action_title(progress.batch), total=progress.number, more="")
        while True:
            failed, speed = progress.counts[ItemState.FAILED], progress.per_minute
            more = f"{failed:,} failed" + (f", {speed:,.0f} a minute" if speed else "")
            bar.update(task, completed=progress.ended, more=more)
            if not progress.is_moving:
                return progress
            await asyncio.sleep(_GLANCE_SECONDS)
            progress = await _find(context, progress.batch.id)
