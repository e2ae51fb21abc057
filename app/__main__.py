"""The command line: `python -m app COMMAND`.

A command's module is imported when somebody types it: the list of them is read at once, and no process holds what only
another one needs.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from app import loading

# Where each command or group is, and what the list says of it, which is how its own help begins.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "web": ("app.commands.web:web", "Answer Heroku and customers on PORT (Procfile: web)."),
    "worker": ("app.commands.worker:worker", "Do the background work (Procfile: worker)."),
    "migrate": ("app.commands.migrate:migrate", "Bring the database up to date (Procfile: release)."),
    "keys": ("app.commands.keys:keys", "Print fresh values for ENCRYPTION_KEYS and SECRET_KEYS."),
    "reencrypt": ("app.commands.keys:reencrypt", "Seal every stored secret with the newest of ENCRYPTION_KEYS."),
    "operators": ("app.commands.operators:cli", "Operators of the panel: their accounts and roles."),
    "resources": ("app.commands.resources:cli", "Resources: find them, look at one, do something to it."),
    "batches": ("app.commands.batches:cli", "One action on many resources: order it, watch it, stop it."),
    "plans": ("app.commands.plans:cli", "Plans: what is sold, and to whom."),
    "reconcile": ("app.commands.reconcile:reconcile", "Compare every resource with Heroku's list of installs."),
    "restored": ("app.commands.restored:restored", "Say that the database was restored from a backup."),
    "alerts": ("app.commands.alerts:cli", "Alerts: what is open, and a trial of the ways to the team."),
    "overview": ("app.commands.overview:overview", "Show how the business goes, and what waits or fails now."),
    "audit": ("app.commands.audit:cli", "The audit log and the chain of digests over it."),
    "simulate": ("app.simulation:simulate", "Run a pretend Heroku for an add-on in any language."),
    "conform": ("app.simulation:conform", "Check whether an add-on, in any language, speaks Heroku's partner API."),
    "dev": ("app.commands.dev:dev", "Run everything on this machine."),
}


class _Group(TyperGroup):
    """Commands that are known by name and sentence, and imported when one of them is typed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, known, rest = super().resolve_command(ctx, args)
        return name, known if name is None else load(name), rest


def _typer(**more: Any) -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **more
    )


def load(name: str) -> Any:
    """The command or group of this name, imported."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found, parent = getattr(loading.load(module), attribute), _typer()
    if isinstance(found, typer.Typer):
        parent.add_typer(found, name=name)
    else:
        parent.command(name)(found)
    return get_group(parent).commands[name]


cli = _typer(cls=_Group)


@cli.callback()
def main(context: typer.Context) -> None:
    """Run a Heroku add-on, and look after what it has sold."""
    if os.environ.get("NO_COLOR"):
        context.color = False


for _name, (_, _sentence) in COMMANDS.items():
    cli.command(_name, help=_sentence)(lambda: None)


if __name__ == "__main__":
    cli()
