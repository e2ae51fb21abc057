"""What a batch would be about: the resources that its search finds, and what the action would do to them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy import select

from app.context import Context
from app.errors import Refused
from app.operations.action import Action, Parameter
from app.operations.models import Batch, BatchItem, ItemState
from app.operations.search import iterate, parse
from app.resources.models import Resource

# How many a batch may be about. More are several batches, each of which somebody has looked at.
MOST: Final = 10_000
_FIRST: Final = 20
# Resources are looked at a few at a time, so that other requests are served between them, and no longer than this.
_CHUNK: Final = 200
_LONGEST_LOOK: Final = timedelta(seconds=3)
_FAILED_IN: Final = re.compile(r"\s*failed-in:([0-9a-f-]{36})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an order would do, as things are now.

    Attributes:
        number: of resources.
        looked_at: how many of them the rest tells about; fewer than `number` if that took too long.
        first: some of them, in the order of the search.
        plans: how many are on each plan, the most frequent first.
        refused: sentences why the action makes no sense, and for how many.
        foretold: what it does to the first that it makes sense for.
        parameters: what the action must be told, with what there is to choose from.
    """

    number: int
    looked_at: int
    first: Sequence[Resource]
    plans: Mapping[str, int]
    refused: Mapping[str, int]
    foretold: str | None
    parameters: Sequence[tuple[Parameter, Sequence[tuple[str, str]]]]


async def selected(context: Context, text: str) -> list[UUID]:
    """The uuids that a search finds; `failed-in:` with the id of a batch finds what has failed in it.

    Raises:
        Refused: the search is not understood, finds nothing or more than `MOST`.
    """
    if (of_batch := _FAILED_IN.fullmatch(text)) is not None:
        uuids = await _failed(context, of_batch[1])
    else:
        query = parse(text)
        if not query.text:
            raise Refused("Say which resources: a batch is never about all there are.")
        uuids = []
        async for found in iterate(context, query):
            uuids += [one.uuid for one in found]
            if len(uuids) > MOST:
                raise Refused(f"More than {MOST:,} resources are found. Narrow the search, and make several batches.")
    if not uuids:
        raise Refused("No resource is found.")
    return uuids


async def _failed(context: Context, text: str) -> list[UUID]:
    try:
        batch_id = UUID(text)
    except ValueError:
        raise Refused("After failed-in: comes the id of a batch.") from None
    async with context.database.transaction() as session:
        if await session.get(Batch, batch_id) is None:
            raise Refused("There is no such batch.")
        query = select(BatchItem.resource_uuid).where(
            BatchItem.batch_id == batch_id, BatchItem.state == ItemState.FAILED
        )
        return list(await session.scalars(query.order_by(BatchItem.resource_uuid)))


async def preview(context: Context, action: Action, text: str, parameters: Mapping[str, str]) -> Preview:
    """Look at what a search finds, with the eyes of an action.

    Args:
        context: as everywhere.
        action: which.
        text: the search.
        parameters: what was chosen already; what is refused because of it counts as refused.

    Raises:
        Refused: as `selected`.
    """
    uuids = await selected(context, text)
    deadline = monotonic() + _LONGEST_LOOK.total_seconds()
    looked_at = 0
    first: list[Resource] = []
    plans: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    every_choice: dict[str, dict[str, str]] = {parameter.name: {} for parameter in action.parameters}
    example: Resource | None = None
    while looked_at < len(uuids) and (monotonic() < deadline or not looked_at):
        for resource in await _load(context, uuids[looked_at : looked_at + _CHUNK]):
            plans[resource.plan] += 1
            first += [resource] if len(first) < _FIRST else []
            offered = await _offered(context, action, resource)
            for name, choices in offered.items():
                every_choice[name] |= choices
            why_not = _why_not(context, action, resource, offered, parameters)
            if why_not is not None:
                refused[why_not] += 1
            else:
                example = example or resource
        looked_at = min(looked_at + _CHUNK, len(uuids))
    return Preview(
        number=len(uuids),
        looked_at=looked_at,
        first=first,
        plans=dict(plans.most_common()),
        refused=dict(refused.most_common()),
        foretold=await action.foretell(context, example) if example is not None else None,
        parameters=[(parameter, list(every_choice[parameter.name].items())) for parameter in action.parameters],
    )


async def check_parameters(
    context: Context, action: Action, uuids: Sequence[UUID], parameters: Mapping[str, str]
) -> dict[str, str]:
    """Those parameters that the action takes, each of which somebody among the resources is offered.

    Raises:
        Refused: one is missing, or offered to none of them.
    """
    missing = {parameter.name: parameter for parameter in action.parameters}
    for first in range(0, len(uuids), _CHUNK):
        if not missing:
            break
        for resource in await _load(context, uuids[first : first + _CHUNK]):
            offered = await _offered(context, action, resource)
            missing = {
                name: parameter
                for name, parameter in missing.items()
                if parameters.get(name) not in offered.get(name, {})
            }
    for parameter in missing.values():
        raise Refused(f"Choose one of what is offered: {parameter.label.lower()}.")
    return {parameter.name: parameters[parameter.name] for parameter in action.parameters}


async def _load(context: Context, uuids: Sequence[UUID]) -> list[Resource]:
    """The resources, in the order of their uuids here."""
    async with context.database.transaction() as session:
        found = {one.uuid: one for one in await session.scalars(select(Resource).where(Resource.uuid.in_(uuids)))}
    return [found[uuid] for uuid in uuids]


async def _offered(context: Context, action: Action, resource: Resource) -> Mapping[str, Mapping[str, str]]:
    """By parameter, the values and words that this resource is offered; nothing if the action makes no sense for it."""
    if action.refusal(context, resource) is not None:
        return {}
    return {parameter.name: dict(await parameter.choices(context, resource)) for parameter in action.parameters}


def _why_not(
    context: Context,
    action: Action,
    resource: Resource,
    offered: Mapping[str, Mapping[str, str]],
    chosen: Mapping[str, str],
) -> str | None:
    if (why_not := action.refusal(context, resource)) is not None:
        return why_not
    for parameter in action.parameters:
        if not offered[parameter.name]:
            return parameter.no_choices
        if parameter.name in chosen and chosen[parameter.name] not in offered[parameter.name]:
            return f"This one is not offered what was chosen as {parameter.label.lower()}."
    return None
