"""What needs somebody's attention, and whether the team can be told, from the command line."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.commands.terminal import As, AsJson, in_context, show, who
from app.context import Context
from app.operations import alerts, telling
from app.operations.messages import title

cli = typer.Typer(no_args_is_help=True, help="Alerts: what is open, and a trial of the ways to the team.")


@cli.command("list")
def list_(
    *,
    past: Annotated[bool, typer.Option("--past", help="Show the newest that are over instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is open."""

    async def work(context: Context) -> list[dict[str, Any]]:
        found = await alerts.past_alerts(context) if past else await alerts.open_alerts(context, limit=1_000)
        return [
            {
                "what": title(alert.kind),
                "about": alert.text,
                "subject": alert.subject or None,
                "since": alert.opened_at,
                "told": alert.told_at,
                "until": alert.closed_at,
            }
            for alert in found
        ]

    show(in_context(work), as_json=as_json, empty="No alert is over yet." if past else "No alert is open.")


@cli.command("test")
def send_trial(actor: As = None) -> None:
    """Send a trial message every way to the team that is set up."""

    async def work(context: Context) -> Mapping[str, str | None]:
        return await telling.send_trial(context, await who(context, actor))

    errors = in_context(work)
    for name, error in errors.items():
        typer.secho(f"{name}: {error or 'sent'}", err=error is not None, fg="red" if error else None)
    if any(errors.values()):
        raise typer.Exit(1)
