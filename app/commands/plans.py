"""`python -m app plans`: what is sold, who has it, and whether anybody new may have it."""

from datetime import timedelta
from typing import Annotated

import typer

from app.commands.terminal import As, AsJson, Reason, in_context, show, who
from app.context import Context
from app.operations import sale
from app.plans import Plan
from app.resources.models import State
from app.resources.traces import PlanWithdrawal

cli = typer.Typer(no_args_is_help=True, help="Plans: what is sold, and to whom.")

PlanName = Annotated[str, typer.Argument(help="The plan's name, as in app/plans.py.")]


@cli.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show every plan and how many have it."""

    async def work(context: Context) -> list[dict[str, object]]:
        withdrawals = await sale.withdrawals(context)
        lines: list[dict[str, object]] = []
        for name, counts in (await sale.who_uses(context)).items():
            plan = context.plans.get(name)
            lines.append(
                {
                    "plan": name,
                    "price_cents": plan and plan.price_cents,
                    "driver": plan and type(plan.driver).__name__,
                    "instant": plan and plan.is_instant,
                    "rotates_after_days": plan and plan.rotate_every and plan.rotate_every / timedelta(days=1),
                    "on_sale": _sale(plan, withdrawals.get(name)),
                    **{state.value: counts[state] for state in State},
                }
            )
        return lines

    show(in_context(work), as_json=as_json, empty="There is no plan in app/plans.py.")


def _sale(plan: Plan | None, withdrawal: PlanWithdrawal | None) -> str:
    if plan is None:
        return "not in plans.py"
    if plan.is_withdrawn:
        return "withdrawn in plans.py"
    return "on sale" if withdrawal is None else f"withdrawn: {withdrawal.sentence}"


@cli.command()
def withdraw(
    plan: PlanName,
    sentence: Annotated[str, typer.Option(help="What customers read who want the plan.")],
    reason: Reason,
    actor: As = None,
) -> None:
    """Sell a plan to nobody new; who has it keeps it."""

    async def work(context: Context) -> None:
        await sale.withdraw(context, await who(context, actor), plan, sentence, reason)

    in_context(work)
    typer.echo(f"The plan {plan} is withdrawn from sale.")


@cli.command("offer-again")
def offer_again(plan: PlanName, reason: Reason, actor: As = None) -> None:
    """Sell a withdrawn plan again."""

    async def work(context: Context) -> None:
        await sale.offer_again(context, await who(context, actor), plan, reason)

    in_context(work)
    typer.echo(f"The plan {plan} is on sale again.")
