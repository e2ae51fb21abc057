"""What an operator can do to one resource, in a form that the panel, the command line and batches all use."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypedDict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operators.roles import Actor, Role
from app.resources.lifecycle import PROGRAM, record
from app.resources.models import Resource

SHORTEST_REASON: Final = 3
LONGEST_REASON: Final = 500


class Signature(TypedDict):
    """The arguments that say who did something, and why."""

    actor: str
    operator_id: UUID | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An operator's word: who, why, and what the action needs to know besides the resource.

    Attributes:
        actor: who gives it.
        reason: as they wrote it; kept in the history, for operators only.
        parameters: by the names of the action's `Parameter`s.
    """

    actor: Actor
    reason: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def signature(self) -> Signature:
        """Whose word it was, as the rules of a resource's life take it and the history keeps it."""
        # What the program does by itself has no reason that somebody gave, and is no deed of support for the customer.
        reason = None if self.actor.name == PROGRAM else self.reason
        return {"actor": self.actor.name, "operator_id": self.actor.operator_id, "reason": reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Something an action must be told.

    Attributes:
        name: of the form's field and the command's option.
        label: what people read before it.
        choices: values and what people read, for this resource now.
        no_choices: a sentence for when there are none; the action makes no sense then.
    """

    name: str
    label: str
    choices: Callable[[Context, Resource], Awaitable[Sequence[tuple[str, str]]]]
    no_choices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An action that is nothing but a change of the row, and a job that goes on from there.

    Attributes:
        make: on a locked row, with its history; raises `Refused` before it has changed anything.
        job: what is enqueued then.
        said: what `run` says of it.
    """

    make: Callable[[Context, AsyncSession, Resource, Order], None]
    job: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that can be done.

    Attributes:
        id: in addresses and commands, such as `push-config`.
        title: on buttons, such as `Push config again`.
        role: who may.
        why_not: a sentence if it makes no sense for this resource now, as far as its row tells, else None.
        why_idle: the same, where only the queue can tell; asked for one resource at a time.
        foretell: what will happen, in the words of the confirmation; may ask the driver, for moments, and never raises.
        run: does it, in transactions of its own with the event in the same one; returns a sentence about it.
        is_grave: cannot be undone, or the customer feels it: the button is red, and the add-on's name must be typed.
        is_for_many: batches offer it. `run` then leaves everything but the database to jobs.
        parameters: what else it needs to know.
        change: what `run` does, if it is no more than that: batches make many in one go. Such an action has neither
            parameters nor a `why_idle`.
    """

    id: str
    title: str
    role: Role
    why_not: Callable[[Context, Resource], str | None]
    foretell: Callable[[Context, Resource], Awaitable[str]]
    run: Callable[[Context, UUID, Order], Awaitable[str]]
    is_grave: bool = False
    is_for_many: bool = False
    parameters: Sequence[Parameter] = ()
    why_idle: Callable[[Context, Resource], Awaitable[str | None]] | None = None
    change: Change | None = None

    def refusal(self, context: Context, resource: Resource) -> str | None:
        """A sentence if it cannot be done to this resource now, else None."""
        if resource.plan not in context.plans:
            return f"Its plan {resource.plan} is not in the price list any more: put it back first."
        return self.why_not(context, resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Whether an action could do something to one resource now, and with what.

    Attributes:
        why_not: a sentence if not, else None.
        choices: values and words by the names of the parameters; empty if not.
    """

    why_not: str | None = None
    choices: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


async def offer(context: Context, action: Action, resource: Resource) -> Offer:
    """Look at an action for a resource as it is now."""
    why_not = action.refusal(context, resource)
    if why_not is None and action.why_idle is not None:
        why_not = await action.why_idle(context, resource)
    if why_not is not None:
        return Offer(why_not=why_not)
    choices = {}
    for parameter in action.parameters:
        choices[parameter.name] = await parameter.choices(context, resource)
        if not choices[parameter.name]:
            return Offer(why_not=parameter.no_choices)
    return Offer(choices=choices)


async def perform(context: Context, action: Action, uuid: UUID, order: Order) -> str:
    """Do it, by the one set of rules; a sentence about what was done.

    Raises:
        Refused: the role is too low, the reason is missing, or it makes no sense for the resource as it is now.
    """
    order.actor.need(action.role)
    reason = clean_reason(order.reason)
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
    if resource is None:
        raise Refused("There is no such resource.")
    offered = await offer(context, action, resource)
    if offered.why_not is not None:
        raise Refused(offered.why_not)
    parameters = {}
    for parameter in action.parameters:
        value = order.parameters.get(parameter.name, "")
        if value not in {choice for choice, _ in offered.choices[parameter.name]}:
            raise Refused(f"Choose one of what is offered: {parameter.label.lower()}.")
        parameters[parameter.name] = value
    return await action.run(context, uuid, Order(actor=order.actor, reason=reason, parameters=parameters))


def record_order(context: Context, session: AsyncSession, uuid: UUID, order: Order, kind: str, text: str) -> None:
    """Add whose word it was, and why, to the history of a resource; its customer does not see the line."""
    record(session, uuid, context.clock(), kind, text=text, is_for_customer=False, **order.signature)


def need_name(action: Action, resource: Resource, typed: str) -> None:
    """A grave action is confirmed by the add-on's name, so that it is done to the one that is meant.

    Raises:
        Refused: that is not its name.
    """
    if action.is_grave and typed.strip() != resource.name:
        raise Refused(f"Type the add-on's name, {resource.name}, to confirm. Nothing was done.")


def clean_reason(text: str) -> str:
    """The reason as it is kept: one line, without control codes.

    Raises:
        Refused: there is none, or a novel.
    """
    reason = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise Refused(f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters: the audit log keeps it.")
    return reason
