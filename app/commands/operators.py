"""`python -m app operators`: who may sign in to the panel."""

from typing import Annotated

import typer

from app.commands.terminal import As, AsJson, in_context, show, who
from app.context import Context
from app.operators import accounts
from app.operators.roles import Role

cli = typer.Typer(no_args_is_help=True, help="Operators of the panel: their accounts and roles.")

RoleName = Annotated[str, typer.Option("--role", help="viewer, support, operator or owner.")]


def read_role(text: str) -> Role:
    """The role of this name."""
    try:
        return Role[text.upper()]
    except KeyError:
        raise typer.BadParameter("A role is viewer, support, operator or owner.") from None


@cli.command()
def add(
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    role: RoleName = "viewer",
    name: Annotated[str, typer.Option(help="What they are called.")] = "",
    actor: As = None,
    *,
    no_password: Annotated[bool, typer.Option("--no-password", help="They come in by OpenID Connect only.")] = False,
) -> None:
    """Make an account. Asks for the password, or reads it from the standard input."""
    wanted = read_role(role)
    password = None if no_password else typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def work(context: Context) -> None:
        by = await who(context, actor)
        await accounts.add(context, by, email=email, name=name, role=wanted, password=password)

    in_context(work)
    typer.echo(f"{email} can sign in at /admin now, as {wanted.word}.")


@cli.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show every account."""

    async def work(context: Context) -> list[dict[str, object]]:
        return [
            {
                "email": operator.email,
                "name": operator.name,
                "role": operator.role.word,
                "since": operator.created_at,
                "disabled": operator.disabled_at,
            }
            for operator in await accounts.everybody(context)
        ]

    show(in_context(work), as_json=as_json, empty="There are no operators yet. Make one: python -m app operators add")
