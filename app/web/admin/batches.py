"""Many at once: what an order would do, the order itself, and how far it is."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused
from app.operations import batch_progress, batch_selection, batches
from app.operations.action import Action
from app.operations.actions import ACTIONS
from app.operations.batch_progress import Progress
from app.operations.models import ItemState
from app.operators.sessions import SignedInOperator
from app.web.admin import spreadsheet
from app.web.admin.access import PATH, GenuineForm, Operator, Viewer, read_form
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext
from app.web.description import as_file

router = APIRouter(prefix="/batches")

_PAGE: Final = f"{PATH}/batches"
_COLUMNS: Final = ("uuid", "name", "plan", "state", "outcome", "message", "begun_at", "ended_at")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
Verb = Literal["pause", "resume", "cancel"]
_VERBS: Final[Mapping[Verb, Any]] = {
    "pause": (batches.pause, "The batch is paused. What has begun finishes."),
    "resume": (batches.resume, "The batch goes on."),
    "cancel": (batches.cancel, "The batch is cancelled. What has begun finishes."),
}


@router.get("")
async def show_all(request: Request, context: OpenContext, operator: Viewer, before: UUID | None = None) -> Response:
    """Every batch, newest first."""
    found, older = await batch_progress.newest(context, before=before)
    address = None if older is None else f"{_PAGE}?{urlencode({'before': older})}"
    return render_page(
        request,
        operator,
        "admin/batches.html",
        found=found,
        older=address,
        is_top=before is None,
        title_of=batches.action_title,
    )


@router.get("/new")
async def look(request: Request, context: OpenContext, operator: Operator) -> Response:
    """What an order would do, and the form that gives it."""
    return await _new(request, context, operator, dict(request.query_params))


@router.post("/new", dependencies=[GenuineForm])
async def order(request: Request, context: OpenContext, operator: Operator) -> Response:
    """Give the order; to its page."""
    form = await read_form(request)
    number = form.get("number", "").replace(",", "").strip()
    try:
        batch_id = await batches.order(
            context,
            operator.actor,
            action=_action(form.get("action", "")),
            query=form.get("q", ""),
            parameters=form,
            reason=form.get("reason", ""),
            number=int(number) if _NUMBER.fullmatch(number) else None,
        )
    except Refused as refused:
        return await _new(request, context, operator, form, 422, alert=refused.message)
    return back(request, operator, f"{_PAGE}/{batch_id}", "The batch is ordered. It begins within seconds.")


@router.get("/{batch_id}")
async def show(
    request: Request,
    context: OpenContext,
    operator: Viewer,
    batch_id: UUID,
    only: ItemState | None = None,
    after: UUID | None = None,
) -> Response:
    """One batch, and what became of each resource."""
    return await _one(request, context, operator, batch_id, only=only, after=after)


@router.get("/{batch_id}/progress")
async def progress(request: Request, context: OpenContext, operator: Viewer, batch_id: UUID) -> Response:
    """The part of the page that moves. The header tells the page when more of it than that is out of date."""
    found = await _find(context, batch_id)
    response = render_page(request, operator, "admin/batch_progress.html", progress=found)
    response.headers["Part-State"] = _part_state(found)
    return response


@router.get("/{batch_id}/items.csv", **as_file("text/csv"))
async def export(context: OpenContext, _operator: Viewer, batch_id: UUID, only: ItemState | None = None) -> Response:
    """What became of each resource, as a file."""
    await _find(context, batch_id)
    return spreadsheet.download(f"batch-{batch_id}", _COLUMNS, _rows(context, batch_id, only))


@router.post("/{batch_id}/{verb}", dependencies=[GenuineForm])
async def change(request: Request, context: OpenContext, operator: Operator, batch_id: UUID, verb: Verb) -> Response:
    """Pause, resume or cancel it."""
    do, said = _VERBS[verb]
    try:
        await do(context, operator.actor, batch_id)
    except Refused as refused:
        return await _one(request, context, operator, batch_id, 422, alert=refused.message)
    return back(request, operator, f"{_PAGE}/{batch_id}", said)


def _action(action_id: str) -> Action:
    action = ACTIONS.get(action_id)
    if action is None:
        raise Refused("Choose what is to be done.")
    return action


async def _find(context: Context, batch_id: UUID) -> Progress:
    found = await batch_progress.find(context, batch_id)
    if found is None:
        raise HTTPException(404)
    return found


def _part_state(found: Progress) -> str:
    return f"{found.batch.state}-{found.is_moving}"


async def _new(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    typed: Mapping[str, str],
    status: int = 200,
    *,
    alert: str | None = None,
) -> Response:
    offered = [action for action in ACTIONS.values() if action.is_for_many and operator.actor.role >= action.role]
    action = next((one for one in offered if one.id == typed.get("action")), None)
    preview = None
    if action is not None and typed.get("q"):
        parameters = {one.name: typed[one.name] for one in action.parameters if typed.get(one.name)}
        try:
            preview = await batch_selection.preview(context, action, typed["q"], parameters)
        except Refused as refused:
            status, alert = 422, alert or refused.message
    return render_page(
        request,
        operator,
        "admin/batch_new.html",
        status,
        alert=alert,
        typed=typed,
        actions=offered,
        action=action,
        preview=preview,
        is_complete=action is not None and all(typed.get(one.name) for one in action.parameters),
        most=batch_selection.MOST,
        per_minute=context.settings.batch_per_minute,
    )


async def _one(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    batch_id: UUID,
    status: int = 200,
    *,
    alert: str | None = None,
    only: ItemState | None = None,
    after: UUID | None = None,
) -> Response:
    found = await _find(context, batch_id)
    page, further = await batch_progress.items(context, batch_id, state=only, after=after)
    here = f"{_PAGE}/{batch_id}"
    kept = {} if only is None else {"only": only.value}
    states = [(None, "All", found.number), *((state, _WORDS[state], found.counts[state]) for state in ItemState)]
    return render_page(
        request,
        operator,
        "admin/batch.html",
        status,
        alert=alert,
        progress=found,
        part_state=_part_state(found),
        title=batches.action_title(found.batch),
        here=here,
        items=page,
        only=only,
        words=_WORDS,
        filters=[(state, words, number, _address(here, only=state)) for state, words, number in states],
        top=None if after is None else _address(here, **kept),
        further=None if further is None else _address(here, **kept, after=further),
        csv=_address(f"{here}/items.csv", **kept),
        again=f"{_PAGE}/new?{urlencode(_again(found))}",
    )


_WORDS: Final = {
    ItemState.WAITING: "Waiting",
    ItemState.BEGUN: "Under way",
    ItemState.DONE: "Done",
    ItemState.FAILED: "Failed",
}


def _again(found: Progress) -> dict[str, str]:
    return {"q": f"failed-in:{found.batch.id}", "action": found.batch.action, **found.batch.parameters}


def _address(path: str, **parameters: Any) -> str:
    kept = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(kept)}" if kept else path


async def _rows(context: Context, batch_id: UUID, only: ItemState | None) -> AsyncIterator[Iterable[Sequence[Any]]]:
    async for chunk in batch_progress.every_item(context, batch_id, state=only):
        yield [
            (one.uuid, one.name, one.plan, one.resource_state, one.state, one.message, one.begun_at, one.ended_at)
            for one in chunk
        ]
