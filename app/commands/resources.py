"""`python -m app resources`: find them, look at one, and do to it what the panel does."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from app import job_queue
from app.commands import resource_facts
from app.commands.export import export_
from app.commands.resource_actions import add_actions
from app.commands.terminal import As, AsJson, Reason, Which, in_context, show, show_json, show_sections, who
from app.context import Context
from app.operations import search, webhooks
from app.operations.action import Order
from app.operations.credentials import reveal_config
from app.operations.found import Found, Page
from app.operations.inspection import Inspection, inspect
from app.operations.naming import find_uuid
from app.operations.timeline import Line, Show, timeline
from app.resources.traces import Exchange, WebhookEvent

cli = typer.Typer(no_args_is_help=True, help="Resources: find them, look at one, do something to it.")

_LIST = ("uuid", "name", "app_name", "owner_email", "plan", "state", "region", "created_at")
_NARROW = ("uuid", "name", "plan", "state", "trouble")

Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest first.")]


@cli.command()
def find(
    text: Annotated[
        str, typer.Argument(help='As in the panel: words, plan:standard, is:suspended, error:"timed out".')
    ],
    limit: Limit = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """Find resources by what is known of them; every word must be true of each."""

    async def work(context: Context) -> tuple[Page, datetime]:
        return await search.search(context, search.parse(text), limit=limit), context.clock()

    page, now = in_context(work)
    rows = [_row(row, now) for row in page.rows]
    if not as_json:
        rows = [{name: row[name] for name in _NARROW} for row in rows]
    show(rows, as_json=as_json, empty="Nothing is like that.")
    if page.older is not None:
        typer.echo(f"There are more than {limit}; these are the newest.", err=True)


def _row(row: Found, now: datetime) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _LIST} | {"trouble": row.trouble(now)}


@cli.command("show")
def show_(resource: Which, *, as_json: AsJson = False) -> None:
    """Show what is known of one resource, without its secrets; Heroku and the driver are asked too."""

    async def work(context: Context) -> tuple[Inspection, dict[str, Any]]:
        found = await inspect(context, await find_uuid(context, resource))
        return found, await resource_facts.facts(context, found)

    found, told = in_context(work)
    if as_json:
        show_json(told)
    else:
        show_sections(resource_facts.for_people(told, found))


@cli.command("timeline")
def timeline_(
    resource: Which,
    only: Annotated[Show, typer.Option(help="Which lines.")] = Show.ALL,
    limit: Limit = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """Show all that happened to a resource, the newest first: events, sign-ins, exchanges with Heroku."""
    lines = [resource_facts.line(line) for line in _lines(resource, only, limit)]
    if not as_json:
        lines = [{name: line[name] for name in ("at", "who", "text", "reason")} for line in lines]
    show(lines, as_json=as_json, empty="Nothing of this kind.")


@cli.command()
def exchanges(resource: Which, limit: Limit = 20, *, as_json: AsJson = False) -> None:
    """Show what Heroku and we have said to each other about a resource in the last two weeks."""
    tell = resource_facts.exchange if as_json else resource_facts.narrow_exchange
    found = [line.row for line in _lines(resource, Show.EXCHANGES, limit)]
    rows = [tell(one) for one in found if isinstance(one, Exchange)]
    show(rows, as_json=as_json, empty="None in the last two weeks.")


@cli.command("webhooks")
def webhooks_(
    resource: Which,
    status: Annotated[str, typer.Option(help=f"Only these: {', '.join(webhooks.STATUSES)}.")] = "",
    limit: Limit = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what Heroku has told by webhooks about a resource in the last thirty days, and what became of it."""

    async def work(context: Context) -> list[WebhookEvent]:
        uuid = await find_uuid(context, resource)
        found, _ = await webhooks.find(context, status=status, resource=uuid, limit=limit)
        return [one.event for one in found]

    tell = resource_facts.webhook if as_json else resource_facts.narrow_webhook
    show([tell(one) for one in in_context(work)], as_json=as_json, empty="None in the last thirty days.")


def _lines(which: str, only: Show, limit: int) -> list[Line]:
    async def work(context: Context) -> list[Line]:
        lines, _ = await timeline(context, await find_uuid(context, which), show=only, limit=limit)
        return list(lines)

    return in_context(work)


@cli.command()
def jobs(resource: Which, *, as_json: AsJson = False) -> None:
    """Show what waits or runs for a resource, in its order."""

    async def work(context: Context) -> list[dict[str, Any]]:
        uuid = await find_uuid(context, resource)
        async with context.database.transaction() as session:
            return resource_facts.jobs(await job_queue.work_of(session, uuid))

    rows = in_context(work)
    if not as_json:
        rows = [resource_facts.narrow_job(row) for row in rows]
    show(rows, as_json=as_json, empty="Nothing: all that was asked for is done.")


@cli.command("show-config")
def show_config(resource: Which, reason: Reason, actor: As = None, *, as_json: AsJson = False) -> None:
    """Show the config vars with their values. Takes the role support; the customer sees that support looked."""

    async def work(context: Context) -> dict[str, str]:
        order = Order(actor=await who(context, actor), reason=reason)
        uuid: UUID = await find_uuid(context, resource)
        return dict(await reveal_config(context, uuid, order))

    values = in_context(work)
    if as_json:
        show_json(values)
    else:
        # No table: a value that is folded cannot be copied.
        for name, value in values.items():
            typer.echo(f"{name}={value}")


cli.command("export")(export_)
add_actions(cli)
