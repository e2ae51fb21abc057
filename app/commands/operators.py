"""`python -m app operators`: who may sign in to the panel."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from app.commands.terminal import As, AsJson, Reason, in_context, show, who
from app.context import Context
from app.errors import Refused
from app.operators import accounts, openid, passwords, second_factor, sessions
from app.operators.models import Operator
from app.operators.roles import Actor, Role
from app.web.browsers import browser_words

T = TypeVar("T")

cli = typer.Typer(no_args_is_help=True, help="Operators of the panel: their accounts and roles.")

Email = Annotated[str, typer.Argument(help="Whose account it is.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, support, operator or owner.")]
OneTime = Annotated[
    bool, typer.Option("--one-time", help="Print a one-time password instead of asking for one; it must be changed.")
]


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
    reason: Reason = "",
    actor: As = None,
    *,
    one_time: OneTime = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="They come in by OpenID Connect only.")] = False,
) -> None:
    """Make an account. Asks for the password, or reads it from the standard input."""
    wanted = read_role(role)
    password = None if no_password else _password(one_time=one_time)

    async def work(context: Context) -> None:
        by = await who(context, actor)
        await accounts.add(
            context,
            by,
            email=email,
            name=name,
            role=wanted,
            password=password,
            is_temporary=one_time,
            reason=reason,
        )

    in_context(work)
    typer.echo(f"{email} can sign in at /admin now, as {wanted.word}.")
    if one_time:
        _say_one_time(password)


@cli.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show every account."""

    async def work(context: Context) -> list[dict[str, object]]:
        seen = await sessions.last_seen(context)
        return [
            {
                "email": operator.email,
                "name": operator.name,
                "role": operator.role.word,
                "second_factor": operator.totp_confirmed_at is not None,
                "since": operator.created_at,
                "seen": seen.get(operator.id),
                "disabled": operator.disabled_at,
            }
            for operator in await accounts.everybody(context)
        ]

    show(in_context(work), as_json=as_json, empty="There are no operators yet. Make one: python -m app operators add")


@cli.command()
def role(
    email: Email,
    new: Annotated[str, typer.Argument(help="viewer, support, operator or owner.")],
    reason: Reason = "",
    actor: As = None,
) -> None:
    """Let somebody do more, or less, from their next click on."""
    wanted = read_role(new)

    async def work(context: Context, by: Actor, operator: Operator) -> None:
        await accounts.change_role(context, by, operator.id, wanted, reason=reason)

    _on(email, actor, work)
    typer.echo(f"{email} is {wanted.word} now.")


@cli.command()
def disable(email: Email, reason: Reason = "", actor: As = None) -> None:
    """End an account and all its sessions; its name stays in the history."""

    async def work(context: Context, by: Actor, operator: Operator) -> None:
        await accounts.disable(context, by, operator.id, reason=reason)

    _on(email, actor, work)
    typer.echo(f"{email} is disabled, and signed out everywhere.")


@cli.command()
def enable(email: Email, reason: Reason = "", actor: As = None) -> None:
    """Let a disabled operator in again."""

    async def work(context: Context, by: Actor, operator: Operator) -> None:
        await accounts.enable(context, by, operator.id, reason=reason)

    _on(email, actor, work)
    typer.echo(f"{email} can sign in again.")


@cli.command()
def password(email: Email, reason: Reason = "", actor: As = None, *, one_time: OneTime = False) -> None:
    """Set a password; every session ends, and a pause after failed sign-ins is over. Asks, or reads standard input."""
    new = _password(one_time=one_time)

    async def work(context: Context, by: Actor, operator: Operator) -> None:
        await accounts.set_password(context, by, operator.id, new, is_temporary=one_time, reason=reason)

    _on(email, actor, work)
    typer.echo(f"{email} has a new password, and is signed out everywhere.")
    if one_time:
        _say_one_time(new)


@cli.command("reset-totp")
def reset_totp(email: Email, reason: Reason = "", actor: As = None) -> None:
    """Turn somebody's second factor off, whose authenticator app and recovery codes are lost."""

    async def work(context: Context, by: Actor, operator: Operator) -> None:
        await second_factor.turn_off(context, by, operator.id, reason=reason)

    _on(email, actor, work)
    typer.echo(f"{email} has no second factor now.")


@cli.command("unbind")
def unbind(email: Email, reason: Reason = "", actor: As = None) -> None:
    """Forget which OpenID identity an account belongs to; the next one with its verified address gets it."""

    async def work(context: Context, by: Actor, operator: Operator) -> None:
        await openid.unbind(context, by, operator.id, reason=reason)

    _on(email, actor, work)
    typer.echo(f"{email} is bound to no OpenID identity now.")


@cli.command("sessions")
def sessions_(
    email: Email,
    actor: As = None,
    *,
    end: Annotated[str, typer.Option("--end", help="End the session with this id, or `all`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show where somebody is signed in; with --end sign them out there."""

    async def work(context: Context, by: Actor, operator: Operator) -> list[dict[str, object]]:
        if end == "all":
            await sessions.revoke_all(context, by, operator.id)
        elif end:
            await sessions.revoke(context, by, _session_id(end))
        if operator.id != by.operator_id:  # as on the pages
            by.need(Role.OWNER)
        return [
            {
                "id": session.id,
                "browser": browser_words(session.browser),
                "user_agent": session.browser,
                "address": session.address,
                "with": session.method,
                "since": session.created_at,
                "seen": session.seen_at,
            }
            for session in await sessions.alive(context, operator.id)
        ]

    found = _on(email, actor, work)
    if not as_json:
        found = [{name: value for name, value in one.items() if name != "user_agent"} for one in found]
    show(found, as_json=as_json, empty=f"{email} is not signed in anywhere.")


def _on(email: str, actor: str | None, work: Callable[[Context, Actor, Operator], Awaitable[T]]) -> T:
    """Do `work` to the operator with this address."""

    async def run(context: Context) -> T:
        by = await who(context, actor)
        async with context.database.transaction() as session:
            operator = await accounts.find(session, email)
        if operator is None:
            raise Refused(f"There is no operator {email}.")
        return await work(context, by, operator)

    return in_context(run)


def _session_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("That is not the id of a session.") from None


def _password(*, one_time: bool) -> str:
    if one_time:
        return passwords.made_up()
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _say_one_time(password: str | None) -> None:
    typer.echo(f"One-time password, good for three days: {password}")
