"""What Heroku and we do not agree on, what would mend it, and the form that has it mended."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused
from app.operations import healing, reconciliation, repairs
from app.operations.models import Difference, Reconciliation
from app.operations.repairs import REPAIRS
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH, GenuineForm, Operator, Support, Viewer, read_fields
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/reconciliation")

_PAGE: Final = f"{PATH}/reconciliation"
_SHOWN: Final = 100
_RUNS: Final = 20
# What one form may select; each takes a call to Heroku or more.
_MOST_REPAIRS: Final = 50
# A platform's router gives up a request after thirty seconds: what is left then is not begun.
_LONGEST_WORK: Final = timedelta(seconds=20)
# What the database takes for one.
Id = Annotated[int, Field(ge=0, lt=2**63)]
_KINDS: Final = {
    "orphan": "only here",
    "ghost": "only at Heroku",
    "plan": "other plan",
    "state": "other state",
    "config": "other config vars",
}


@router.get("")
async def show_newest(
    request: Request, context: OpenContext, operator: Viewer, before: datetime | None = None
) -> Response:
    """The newest comparison, the ones before, and whether one is under way."""
    return await _overview(request, context, operator, before=before)


@router.post("", dependencies=[GenuineForm])
async def compare(request: Request, context: OpenContext, operator: Support) -> Response:
    """Have a worker compare."""
    try:
        await reconciliation.ask(context, operator.actor)
    except Refused as refused:
        return await _overview(request, context, operator, 422, alert=refused.message)
    return back(request, operator, _PAGE, "A worker begins the comparison within moments.")


@router.get("/progress")
async def progress(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """How far the comparison is that is under way, for the page to show."""
    run = await reconciliation.under_way(context)
    response = render_page(request, operator, "admin/reconciliation_progress.html", run=run)
    response.headers["Part-State"] = "over" if run is None else str(run.id)
    return response


@router.get("/{id_}")
async def show(request: Request, context: OpenContext, operator: Viewer, id_: UUID, after: Id = 0) -> Response:
    """One comparison."""
    run = await _run(context, id_)
    values = await _findings(context, run, after)
    return render_page(request, operator, "admin/reconciliation_one.html", after=after, **values)


@router.get("/{id_}/repair")
async def confirm(
    request: Request,
    context: OpenContext,
    operator: Operator,
    id_: UUID,
    difference: Annotated[Sequence[Id], Query()] = (),
) -> Response:
    """What would be done about the selected differences, and the form that asks why."""
    return await _confirmation(request, context, operator, await _run(context, id_), difference)


@router.post("/{id_}/repair", dependencies=[GenuineForm])
async def repair(request: Request, context: OpenContext, operator: Operator, id_: UUID) -> Response:
    """Do it, as far as the time of a request allows; back to the comparison."""
    run, fields = await _run(context, id_), await read_fields(request)
    form = dict(fields)
    ids = [int(value) for name, value in fields if name == "difference" and value.isdecimal() and len(value) < 19]
    try:
        chosen = await _chosen(context, run, ids)
        _check_number(chosen, form.get("number", ""))
        said = await _apply(context, operator, [one.id for one in chosen], form.get("reason", ""))
    except Refused as refused:
        reason = form.get("reason", "")
        return await _confirmation(request, context, operator, run, ids, 422, alert=refused.message, reason=reason)
    return back(request, operator, f"{_PAGE}/{id_}", said)


async def _apply(context: Context, operator: SignedInOperator, ids: Sequence[int], reason: str) -> str:
    ends_at = asyncio.get_running_loop().time() + _LONGEST_WORK.total_seconds()
    outcomes = []
    async for outcome in repairs.apply(context, operator.actor, ids, reason):
        outcomes.append(outcome)
        if asyncio.get_running_loop().time() > ends_at:
            break
    if len(ids) == 1:
        return outcomes[0].text
    over, left = sum(outcome.is_over for outcome in outcomes), len(ids) - len(outcomes)
    said = f"{over} of {len(ids)} are over."
    if over < len(outcomes):
        said += f" {len(outcomes) - over} could not be mended; each says why."
    return said + (f" For {left} the time did not suffice: select them once more." if left else "")


def _check_number(chosen: Sequence[Difference], typed: str) -> None:
    if _is_grave(chosen) and typed.strip() != str(len(chosen)):
        raise Refused(f"Type {len(chosen)}, the number of what you have selected, to confirm. Nothing was done.")


def _is_grave(chosen: Sequence[Difference]) -> bool:
    return any(REPAIRS[one.repair].is_grave for one in chosen if one.repair)


async def _chosen(context: Context, run: Reconciliation, ids: Sequence[int]) -> list[Difference]:
    found = await repairs.load(context, list(dict.fromkeys(ids))[: _MOST_REPAIRS + 1])
    chosen = [one for one in found if one.reconciliation_id == run.id and one.repair and one.repaired_at is None]
    if not chosen:
        raise Refused("Select at least one difference for which a repair is proposed.")
    if len(chosen) > _MOST_REPAIRS:
        raise Refused(f"Select no more than {_MOST_REPAIRS} at once.")
    return chosen


async def _confirmation(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    run: Reconciliation,
    ids: Sequence[int],
    status: int = 200,
    *,
    alert: str | None = None,
    reason: str = "",
) -> Response:
    try:
        chosen = await _chosen(context, run, ids)
    except Refused as refused:
        values = await _findings(context, run, 0)
        return render_page(
            request, operator, "admin/reconciliation_one.html", 422, after=0, alert=refused.message, **values
        )
    return render_page(
        request,
        operator,
        "admin/reconciliation_repair.html",
        status,
        run=run,
        chosen=chosen,
        repairs=REPAIRS,
        is_grave=_is_grave(chosen),
        alert=alert,
        reason=reason,
    )


async def _overview(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    status: int = 200,
    *,
    before: datetime | None = None,
    alert: str | None = None,
) -> Response:
    runs = await reconciliation.history(context, before=before, limit=_RUNS + 1)
    newest = await reconciliation.latest(context)
    return render_page(
        request,
        operator,
        "admin/reconciliation.html",
        status,
        alert=alert,
        under_way=await reconciliation.under_way(context),
        runs=runs[:_RUNS],
        older=f"{_PAGE}?{urlencode({'before': runs[_RUNS - 1].begun_at})}" if len(runs) > _RUNS else None,
        is_top=before is None,
        findings=None if newest is None else await _findings(context, newest, 0),
        kinds=_KINDS,
        heals=context.settings.self_healing,
    )


async def _findings(context: Context, run: Reconciliation, after: int) -> dict[str, Any]:
    """What a run has found, for its template."""
    found = await reconciliation.differences(context, run.id, after=after, limit=_SHOWN + 1)
    return {
        "run": run,
        "number": sum(run.counts.values()),
        "left": await reconciliation.open_differences(context, run.id),
        "mended": await healing.mended(context, run),
        "differences": found[:_SHOWN],
        "more": f"{_PAGE}/{run.id}?after={found[_SHOWN - 1].id}" if len(found) > _SHOWN else None,
        "kinds": _KINDS,
        "repairs": REPAIRS,
        "most_kept": reconciliation.MOST_DIFFERENCES,
    }


async def _run(context: Context, id_: UUID) -> Reconciliation:
    run = await reconciliation.get(context, id_)
    if run is None:
        raise HTTPException(404)
    return run
