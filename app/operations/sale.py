"""Which plans are on sale: operators withdraw them and offer them again; who has one keeps it either way."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from app.context import Context
from app.errors import Refused
from app.operations.action import clean_reason
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record
from app.resources.models import Resource, State
from app.resources.traces import PlanWithdrawal

_SHORTEST_SENTENCE: Final = 10
_LONGEST_SENTENCE: Final = 300


async def withdraw(context: Context, actor: Actor, plan: str, sentence: str, reason: str) -> None:
    """Sell a plan to nobody new from now on, by install or by plan change. Again changes the sentence.

    Args:
        context: as everywhere.
        actor: an operator.
        plan: its name.
        sentence: what Heroku shows to whoever wants it.
        reason: for the audit log.

    Raises:
        Refused: the role is too low, there is no such plan, or the sentence or the reason is missing.
    """
    actor.need(Role.OPERATOR)
    reason, sentence = clean_reason(reason), " ".join(sentence.split())
    _check_plan(context, plan)
    if not _SHORTEST_SENTENCE <= len(sentence) <= _LONGEST_SENTENCE or not sentence.isprintable():
        raise Refused(
            f"Say in {_SHORTEST_SENTENCE} to {_LONGEST_SENTENCE} characters what customers read who want this plan."
        )
    now = context.clock()
    values = {"sentence": sentence, "at": now, "actor": actor.name}
    async with context.database.transaction() as session:
        query = insert(PlanWithdrawal).values(plan=plan, **values)
        await session.execute(query.on_conflict_do_update(index_elements=["plan"], set_=values))
        text = f"Plan {plan} withdrawn from sale: {sentence}"
        record(session, None, now, "plan_withdrawn", actor.name, text, operator_id=actor.operator_id, reason=reason)


async def offer_again(context: Context, actor: Actor, plan: str, reason: str) -> None:
    """Sell a withdrawn plan again.

    Raises:
        Refused: the role is too low, the reason is missing, the plan is on sale, or `plans.py` says that it is not.
    """
    actor.need(Role.OPERATOR)
    reason = clean_reason(reason)
    _check_plan(context, plan)
    if context.plans[plan].is_withdrawn:
        raise Refused(f"The plan {plan} is withdrawn in plans.py: change it there and deploy.")
    async with context.database.transaction() as session:
        found = await session.scalar(
            delete(PlanWithdrawal).where(PlanWithdrawal.plan == plan).returning(PlanWithdrawal.plan)
        )
        if found is None:
            raise Refused(f"The plan {plan} is on sale.")
        now, text = context.clock(), f"Plan {plan} offered again"
        record(session, None, now, "plan_offered", actor.name, text, operator_id=actor.operator_id, reason=reason)


async def withdrawals(context: Context) -> Mapping[str, PlanWithdrawal]:
    """What operators have withdrawn, by plan."""
    async with context.database.transaction() as session:
        rows: Sequence[PlanWithdrawal] = (await session.scalars(select(PlanWithdrawal))).all()
    return {row.plan: row for row in rows}


async def who_uses(context: Context) -> Mapping[str, Mapping[State, int]]:
    """How many resources each plan has in each state; also plans that are only in the table."""
    async with context.database.transaction() as session:
        rows = await session.execute(
            select(Resource.plan, Resource.state, func.count()).group_by(Resource.plan, Resource.state)
        )
        counts: dict[str, dict[State, int]] = defaultdict(lambda: dict.fromkeys(State, 0))
        for plan, state, number in rows:
            counts[plan][state] = number
    return {plan: counts[plan] for plan in {**context.plans, **counts}}


def _check_plan(context: Context, plan: str) -> None:
    if plan not in context.plans:
        raise Refused(f"There is no plan named {plan[:60]!r}.")
