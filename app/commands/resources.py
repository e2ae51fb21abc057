"""`python -m app resources`: find them and look at one."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from app.commands.terminal import AsJson, in_context, show
from app.context import Context
from app.errors import Refused
from app.operations import search
from app.operations.found import Found, Page

cli = typer.Typer(no_args_is_help=True, help="Resources: find them, look at one, do something to it.")

_LIST = ("uuid", "name", "app_name", "owner_email", "plan", "state", "region", "created_at")


@cli.command()
def find(
    text: Annotated[
        str, typer.Argument(help='As in the panel: words, plan:standard, is:suspended, error:"timed out".')
    ],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest first.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """Find resources by what is known of them; every word must be true of each."""

    async def work(context: Context) -> tuple[Page, datetime]:
        return await search.search(context, search.parse(text), limit=limit), context.clock()

    page, now = in_context(work)
    show([_row(row, now) for row in page.rows], as_json=as_json, empty="Nothing is like that.")
    if page.older is not None:
        typer.echo(f"There are more than {limit}; these are the newest.", err=True)


@cli.command("show")
def show_(uuid: Annotated[UUID, typer.Argument(help="Of the resource.")], *, as_json: AsJson = False) -> None:
    """Show what is known of one resource, without its secrets."""

    async def work(context: Context) -> Found:
        page = await search.search(context, search.parse(f"uuid:{uuid}"))
        if not page.rows:
            raise Refused(f"There is no resource {uuid}.")
        return page.rows[0]

    facts = asdict(in_context(work))
    rows: list[dict[str, Any]] = [facts] if as_json else [{"what": k, "value": v} for k, v in facts.items()]
    show(rows, as_json=as_json, empty="")


def _row(row: Found, now: datetime) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _LIST} | {"trouble": row.trouble(now)}
