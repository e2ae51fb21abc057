"""A command for each thing that can be done to a resource: it says what will happen, and asks before it does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from app.commands.process import clear_errors, visible
from app.commands.terminal import As, Reason, Which, in_context, who
from app.context import Context
from app.errors import Refused
from app.operations.action import Action, Order, clean_reason, need_name, offer, perform
from app.operations.actions import ACTIONS
from app.operations.naming import find_uuid
from app.resources.models import Resource

_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: do it.")]
_YesByName = Annotated[
    str | None, typer.Option("--yes", metavar="NAME", help="Do not ask: do it, if this is the add-on's name.")
]


@dataclass(frozen=True, slots=True)
class _Foretold:
    resource: Resource
    text: str


def add_actions(cli: typer.Typer) -> None:
    """Make the commands from the table of actions, in its order."""
    for action in ACTIONS.values():
        title = f"{action.title}. Takes the role {action.role.word}."
        cli.command(action.id, help=title)(_command(action))


def _command(action: Action) -> Callable[..., None]:
    def command(*, resource: str, reason: str, actor: str | None, yes: str | bool | None, **chosen: str | None) -> None:
        parameters = {name: value for name, value in chosen.items() if value is not None}
        foretold = in_context(lambda context: _foretell(context, action, resource, reason, actor, parameters))
        typer.echo(visible(foretold.text), err=True)
        with clear_errors():
            _confirm(action, foretold.resource, yes=yes)

        async def work(context: Context) -> str:
            order = Order(actor=await who(context, actor), reason=reason, parameters=parameters)
            return await perform(context, action, foretold.resource.uuid, order)

        typer.echo(visible(in_context(work)))

    # What typer reads instead of the words above: every action has options of its own.
    words: dict[str, tuple[Any, Any]] = {
        "resource": (Which, Parameter.empty),
        "reason": (Reason, Parameter.empty),
        **{
            parameter.name: (
                Annotated[str | None, typer.Option(help=f"{parameter.label}: one of what is offered.")],
                None,
            )
            for parameter in action.parameters
        },
        "yes": (_YesByName, None) if action.is_grave else (_Yes, False),
        "actor": (As, None),
    }
    signature = Signature(
        [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=start)
            for name, (kind, start) in words.items()
        ]
    )
    command.__signature__ = signature  # type: ignore[attr-defined]  # `inspect.signature` looks for it
    return command


async def _foretell(
    context: Context, action: Action, which: str, reason: str, email: str | None, parameters: Mapping[str, str]
) -> _Foretold:
    """What will happen, once all is known that would refuse it: nobody confirms what cannot be."""
    (await who(context, email)).need(action.role)
    clean_reason(reason)
    uuid = await find_uuid(context, which)
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    offered = await offer(context, action, resource)
    if offered.why_not is not None:
        raise Refused(offered.why_not)
    for parameter in action.parameters:
        choices = offered.choices[parameter.name]
        if parameters.get(parameter.name) not in {value for value, _ in choices}:
            values = "; ".join(words if words.startswith(value) else f"{value} ({words})" for value, words in choices)
            raise Refused(f"Say with --{parameter.name} which one. There are: {values}.")
    return _Foretold(resource, await action.foretell(context, resource))


def _confirm(action: Action, resource: Resource, *, yes: str | bool | None) -> None:
    """Ask, unless `--yes` has answered: no database is held open while somebody thinks.

    Raises:
        Refused: the answer is no.
    """
    if action.is_grave:
        typed = (
            yes
            if isinstance(yes, str)
            else typer.prompt(f"The add-on's name, {visible(resource.name)}, to confirm", err=True)
        )
        need_name(action, resource, typed)
    elif not (yes or typer.confirm(f"{action.title}?", err=True)):
        raise Refused("Nothing was done.")
