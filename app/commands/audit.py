"""`python -m app audit`: read the audit log, take it away, and prove that it is as it was written."""

import json
from dataclasses import asdict
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from app.commands.terminal import As, AsJson, in_context, show, who
from app.context import Context
from app.errors import Refused
from app.operations import audit_log
from app.operations.audit_log import ChainState, Filter, Format
from app.operations.audit_verification import Verdict, read_digest, verify_and_record
from app.operators import accounts

cli = typer.Typer(no_args_is_help=True, help="The audit log and the chain of digests over it.")

Since = Annotated[str, typer.Option("--since", help="The first day or time, in UTC: 2026-11-01.")]
Until = Annotated[str, typer.Option("--until", help="The last day, or the time it ends, in UTC.")]


@cli.command("list")
def list_(
    operator: Annotated[str, typer.Option(help="Only what this operator did, by e-mail.")] = "",
    actor: Annotated[str, typer.Option(help="Only what this actor did: Heroku, the program, an address.")] = "",
    kind: Annotated[str, typer.Option(help="Only events of this kind, such as rotated.")] = "",
    resource: Annotated[str, typer.Option(help="Only events of the resource with this uuid.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """Show events, the newest first."""

    async def work(context: Context) -> list[dict[str, object]]:
        words = {"actor": actor, "kind": kind, "resource": resource, "since": since, "until": until}
        if operator:
            words["operator"] = str(await _operator_id(context, operator))
        found = await audit_log.page(context, audit_log.read_filter(words, ZoneInfo("UTC")), limit=limit)
        return [
            {
                "at": event.at,
                "actor": event.actor,
                "kind": event.kind,
                "text": event.text,
                "reason": event.reason,
                "resource": event.resource_uuid,
            }
            for event in found.events
        ]

    show(in_context(work), as_json=as_json, empty="No event fits.")


async def _operator_id(context: Context, email: str) -> UUID:
    async with context.database.transaction() as session:
        operator = await accounts.find(session, email)
    if operator is None:
        raise Refused(f"There is no operator {email}.")
    return operator.id


@cli.command()
def head(*, as_json: AsJson = False) -> None:
    """Print the digest of the newest link: write it down elsewhere, for `verify --expect`."""

    async def work(context: Context) -> ChainState:
        return await audit_log.chain_state(context)

    chain = in_context(work)
    found = chain.head
    told = {"head": found.digest.hex(), "links": found.position, "linked_at": found.linked_at}
    show(
        [told | {"waiting": chain.waiting}],
        as_json=as_json,
        empty="",
    )


@cli.command()
def export(
    form: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    since: Since = "",
    until: Until = "",
    actor: As = None,
) -> None:
    """Write every event with its digests to the standard output, in the order of the chain."""
    forms: dict[str, Format] = {"jsonl": "jsonl", "csv": "csv"}
    if form not in forms:
        raise typer.BadParameter("The format is jsonl or csv.")

    async def work(context: Context) -> int:
        by = await who(context, actor)
        wanted: Filter = audit_log.read_filter({"since": since, "until": until}, ZoneInfo("UTC"))
        async for piece in audit_log.export(context, by, wanted, forms[form]):
            typer.echo(piece, nl=False)
        return (await audit_log.chain_state(context)).waiting

    if waiting := in_context(work):
        typer.echo(
            f"{waiting:,} events have no link yet: what is not among these lines is with the next export.", err=True
        )


@cli.command()
def verify(
    expect: Annotated[str, typer.Option(help="A head that was written down earlier: it must be in the chain.")] = "",
    actor: As = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Prove that no event was altered, deleted or inserted since it was linked; exit with 1 if one was."""

    async def work(context: Context) -> Verdict:
        expected = read_digest(expect) if expect else None
        by = await who(context, actor)
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Links")
            return await verify_and_record(
                context, by, expected=expected, progress=lambda done, of: bar.update(task, completed=done, total=of)
            )

    verdict = in_context(work)
    if as_json:
        typer.echo(json.dumps(asdict(verdict), indent=2))
    elif verdict.fault is None:
        typer.echo(f"The audit log is whole: {verdict.links:,} links, {verdict.waiting:,} events wait for theirs.")
        typer.echo(f"Head: {verdict.head}")
        if not expect:
            typer.echo(
                "Not shown by this: that nobody has computed the whole chain anew or cut off its end. For that, keep "
                "heads elsewhere and verify with --expect."
            )
    else:
        typer.secho(f"The audit log is broken. {verdict.fault}", err=True, fg="red")
        good = "links agree with each other" if verdict.is_unbroken else "links before that are good"
        typer.echo(f"The {verdict.links:,} {good}. The newest head is {verdict.head}.")
        typer.echo("Keep a copy of the database as it is now, before anybody mends anything.")
    raise typer.Exit(0 if verdict.fault is None else 1)
