"""The words of `python -m app conform`, for typer."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from . import command
from .listing import can_list, listing
from .options import Options
from .reports import Format
from .requirement import Level
from .requirements import ALL
from .selection import NothingSelected, select

Plans = Callable[[Sequence[str] | None, Mapping[str, Any]], Sequence[Mapping[str, Any]] | None]


def conform_command(plans: Plans) -> Callable[..., None]:
    """Make the command. `plans` turns the texts of `--plan` and the manifest into what is for sale."""

    def conform(
        manifest: Annotated[
            Path | None, typer.Option(help="The add-on's addon-manifest.json, in any language's project.")
        ] = None,
        base_url: Annotated[str | None, typer.Option(help="The add-on's base_url; default: api.test's.")] = None,
        sso_url: Annotated[str | None, typer.Option(help="The add-on's sso_url; default: api.test's.")] = None,
        port: Annotated[
            int, typer.Option(min=0, max=65535, help="Where Heroku is simulated: the add-on must call it there.")
        ] = 5100,
        plan: Annotated[
            list[str] | None, typer.Option(help="A plan and its monthly price in cents, as basic=500; repeat it.")
        ] = None,
        only: Annotated[
            list[str] | None, typer.Option(help="Check this requirement or group, as sso or 'provision-*'; repeat it.")
        ] = None,
        skip: Annotated[list[str] | None, typer.Option(help="Leave this requirement or group out; repeat it.")] = None,
        level: Annotated[
            str, typer.Option(metavar="must|should", help="must: leave out what is only good conduct.")
        ] = "should",
        form: Annotated[
            Format | None, typer.Option("--format", help="Of the report; default: by the output's ending, else text.")
        ] = None,
        output: Annotated[
            list[Path] | None,
            typer.Option(help="Write the report to this .txt, .json, .xml, .sarif or .md; repeat it."),
        ] = None,
        restart_command: Annotated[
            str | None, typer.Option(help="Kills the add-on and starts it again, for the checks that need it.")
        ] = None,
        log_file: Annotated[Path | None, typer.Option(help="Where the add-on logs, to look for secrets in it.")] = None,
        patience: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the add-on's own work.")] = 60,
        wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until the add-on answers at all.")] = 10,
        journal: Annotated[
            Path | None, typer.Option(help="Where to note what a run makes; default: .conformance/SLUG.json.")
        ] = None,
        *,
        list_: Annotated[bool, typer.Option("--list", help="List the requirements, and check none.")] = False,
        leftovers: Annotated[bool, typer.Option("--leftovers", help="List what earlier runs left.")] = False,
        purge: Annotated[bool, typer.Option("--purge", help="Remove what earlier runs left.")] = False,
        strict: Annotated[bool, typer.Option("--strict", help="An unmet SHOULD fails the run, too.")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", help="Print failures and the end, nothing else.")] = False,
    ) -> None:
        """Check whether an add-on, in any language, speaks Heroku's partner API correctly.

        Start the add-on first, pointed at the simulated Heroku on --port. ADDON_PASSWORD, ADDON_SSO_SALT and
        HEROKU_CLIENT_SECRET are taken from the environment; the first two override the manifest's placeholders.

        Exit status: 0 every MUST is met, 1 one is not, 2 it could not run, 130 it was interrupted.
        """
        if level.lower() not in {"must", "should"}:
            raise typer.BadParameter("--level is must or should.")
        if list_ + leftovers + purge > 1:
            raise typer.BadParameter("--list, --leftovers and --purge are three different things: give one of them.")
        weight = Level(level.upper())
        if list_:
            typer.echo(_listed(only or [], skip or [], weight, form or Format.TEXT), nl=False)
            return
        if manifest is None:
            raise typer.BadParameter("--manifest says which add-on to check.")
        options = Options(
            manifest=manifest,
            base_url=base_url,
            sso_url=sso_url,
            port=port,
            plans=tuple(plan or ()),
            only=tuple(only or ()),
            skip=tuple(skip or ()),
            level=weight,
            form=form,
            outputs=tuple(output or ()),
            restart_command=restart_command,
            log_file=log_file,
            patience=patience,
            wait=wait,
            journal=journal,
            is_strict=strict,
            is_quiet=quiet,
        )
        do = command.purge if purge else command.list_leftovers if leftovers else command.conform
        raise typer.Exit(do(options, os.environ, partial(plans, plan)))

    return conform


def _listed(only: Sequence[str], skip: Sequence[str], level: Level, form: Format) -> str:
    if not can_list(form):
        raise typer.BadParameter("--list knows the formats text, json and markdown.")
    try:
        return listing(select(ALL, only=only, skip=skip, level=level), form)
    except NothingSelected as error:
        raise typer.BadParameter(str(error)) from None
