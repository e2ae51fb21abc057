"""What is sold, who has it, and whether anybody new may have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused
from app.operations import sale
from app.operators.sessions import SignedInOperator
from app.plans import Plan
from app.resources.models import State
from app.resources.traces import PlanWithdrawal
from app.web.admin.access import PATH, GenuineForm, Operator, Viewer, read_form
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/plans")

_PAGE: Final = f"{PATH}/plans"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A plan as the page shows it; `plan` is None for one that only resources know."""

    name: str
    plan: Plan | None
    withdrawal: PlanWithdrawal | None
    counts: Mapping[State, int]

    @property
    def driver(self) -> str:
        return type(self.plan.driver).__name__ if self.plan is not None else ""

    @property
    def addresses(self) -> Mapping[State, str]:
        """Searches for those who have it."""
        return {
            state: f"{PATH}/resources?{urlencode({'q': f'plan:{self.name} state:{state}'})}" for state in self.counts
        }


@router.get("")
async def show_all(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """Every plan, in the order of the price list."""
    withdrawals = await sale.withdrawals(context)
    lines = [
        _Line(name=name, plan=context.plans.get(name), withdrawal=withdrawals.get(name), counts=counts)
        for name, counts in (await sale.who_uses(context)).items()
    ]
    return render_page(request, operator, "admin/plans.html", lines=lines)


@router.get("/{name}/withdraw")
async def confirm_withdrawal(request: Request, context: OpenContext, operator: Operator, name: str) -> Response:
    """What will happen, and the form."""
    return await _change(request, context, operator, name, is_withdrawal=True)


@router.post("/{name}/withdraw", dependencies=[GenuineForm])
async def withdraw(request: Request, context: OpenContext, operator: Operator, name: str) -> Response:
    """Sell it to nobody new."""
    form = await read_form(request)
    try:
        _check_name(form.get("name", ""), name)
        await sale.withdraw(context, operator.actor, name, form.get("sentence", ""), form.get("reason", ""))
    except Refused as refused:
        return await _change(
            request, context, operator, name, 422, is_withdrawal=True, typed=form, alert=refused.message
        )
    return back(request, operator, _PAGE, f"The plan {name} is withdrawn from sale.")


@router.get("/{name}/offer-again")
async def confirm_offer(request: Request, context: OpenContext, operator: Operator, name: str) -> Response:
    """What will happen, and the form."""
    return await _change(request, context, operator, name, is_withdrawal=False)


@router.post("/{name}/offer-again", dependencies=[GenuineForm])
async def offer_again(request: Request, context: OpenContext, operator: Operator, name: str) -> Response:
    """Sell it to everybody."""
    form = await read_form(request)
    try:
        await sale.offer_again(context, operator.actor, name, form.get("reason", ""))
    except Refused as refused:
        return await _change(
            request, context, operator, name, 422, is_withdrawal=False, typed=form, alert=refused.message
        )
    return back(request, operator, _PAGE, f"The plan {name} is on sale again.")


def _check_name(typed: str, name: str) -> None:
    if typed.strip() != name:
        raise Refused(f"Type the plan's name, {name}, to confirm. Nothing was done.")


async def _change(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    name: str,
    status: int = 200,
    *,
    is_withdrawal: bool,
    typed: Mapping[str, str] | None = None,
    alert: str | None = None,
) -> Response:
    plan = context.plans.get(name)
    if plan is None:
        raise HTTPException(404)
    counts = (await sale.who_uses(context))[name]
    return render_page(
        request,
        operator,
        "admin/plan_change.html",
        status,
        alert=alert,
        plan=plan,
        number=counts[State.PROVISIONED] + counts[State.PROVISIONING],
        is_withdrawal=is_withdrawal,
        typed=typed or {},
    )
