"""How operators' commands speak: tables for people, JSON for scripts; and who types."""

import asyncio
import getpass
import json
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from app.commands.process import clear_errors, visible
from app.context import Context, open_context
from app.errors import Refused
from app.log import configure_logging
from app.operations import exchanges
from app.operators import accounts
from app.operators.roles import Actor, Role
from app.settings import read_settings

T = TypeVar("T")

_NO_LIMIT: Final = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
Which = Annotated[
    str, typer.Argument(metavar="RESOURCE", help="Its uuid, the beginning of that, or the add-on's name.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; the audit log keeps it.")]
As = Annotated[
    str | None,
    typer.Option(
        "--as", envvar="OPERATOR", help="The operator you are, by e-mail; default: this machine's account, as owner."
    ),
]


def in_context(work: Callable[[Context], Awaitable[T]]) -> T:
    """Run `work` with everything open, as this environment's settings say."""

    async def run() -> T:
        settings = read_settings()
        configure_logging("console", sys.stderr, level=logging.WARNING)
        async with open_context(settings) as context, exchanges.being_written(context):
            return await work(context)

    with clear_errors():
        return asyncio.run(run())


async def who(context: Context, email: str | None) -> Actor:
    """Who types: an operator by name with their role, else whoever has this machine and its secrets: as owner.

    Raises:
        Refused: there is no such operator, or they are disabled.
    """
    if email is None:
        return Actor(name=f"{getpass.getuser()}@{socket.gethostname()}", role=Role.OWNER)
    async with context.database.transaction() as session:
        operator = await accounts.find(session, email)
    if operator is None or operator.disabled_at is not None:
        raise Refused(f"There is no operator {email}.")
    return Actor(name=operator.email, role=operator.role, operator_id=operator.id)


def show(rows: Sequence[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows as a table, or as a JSON list; `empty` says what it means that there are none."""
    if as_json:
        show_json(rows)
    elif not rows:
        typer.echo(empty)
    else:
        _show_table(rows)


def _show_table(rows: Sequence[dict[str, Any]]) -> None:
    """A table; but one row below the other where a terminal is too narrow for it without words torn apart."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    wanted = Measurement.get(console, console.options.update(max_width=_NO_LIMIT), table)
    if not console.is_terminal and "COLUMNS" not in os.environ:  # in a file lines are as long as they are
        console.width = wanted.maximum
    if wanted.minimum <= console.width:
        console.print(table)
        return
    for number, row in enumerate(rows):
        if number:
            console.print()
        _show_facts(row)


def _show_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one below the other; what is unknown is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts.items():
        if value not in (None, [], {}):
            table.add_row(name.replace("_", " "), _cell(value))
    Console().print(table)


def show_json(value: Any) -> None:
    """Print values as JSON: times in ISO 8601 in UTC, ids as texts."""
    typer.echo(json.dumps(value, default=_plain, indent=2))


def show_sections(sections: Mapping[str, Mapping[str, Any] | Sequence[dict[str, Any]]]) -> None:
    """Print facts and lists for people, each below its title; what is unknown is left out."""
    for title, content in sections.items():
        typer.secho(f"\n{title}", bold=True)
        if isinstance(content, Mapping):
            _show_facts(content)
        else:
            show(content, as_json=False, empty="none")


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds")
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case _:
            return value


def _cell(value: Any) -> Text:
    """A cell of a table: what looks like a colour or a link in somebody's text stays text."""
    return Text(visible(_words(value)), overflow="fold")


def _words(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_words(item) for item in value)
        case dict():
            return ", ".join(f"{name}: {_words(item)}" for name, item in value.items())
        case _:
            return str(_plain(value))
