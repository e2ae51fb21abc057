"""The audit log: who did what and why, filtered, and taken away by an auditor."""

from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.context import Context
from app.errors import Refused
from app.operations import audit_log
from app.operations.audit_log import Filter, Format, Key
from app.operators import accounts
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH, Owner, Viewer
from app.web.admin.pages import render_page
from app.web.dependencies import OpenContext
from app.web.description import as_file

router = APIRouter(prefix="/audit")

_FIELDS = ("operator", "actor", "kind", "resource", "since", "until")
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


@router.get("")
async def show(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """The newest events that the filter lets through, or those before or after a key."""
    typed = _typed(request)
    try:
        wanted = audit_log.read_filter(typed, _zone(operator))
        before, after = (
            Key.read(request.query_params[name]) if name in request.query_params else None
            for name in ("before", "after")
        )
        page = await audit_log.page(context, wanted, before=before, after=after)
    except Refused as refused:
        page = await audit_log.page(context, Filter())
        return await _page(request, context, operator, page, typed, 422, alert=refused.message)
    return await _page(request, context, operator, page, typed)


@router.get("/export.{form}", **as_file(*_TYPES.values()))
async def export(request: Request, context: OpenContext, operator: Owner, form: Format) -> Response:
    """Everything that the filter lets through, as a file."""
    wanted = audit_log.read_filter(_typed(request), _zone(operator))
    return StreamingResponse(
        audit_log.export(context, operator.actor, wanted, form),
        media_type=_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="audit-{context.clock():%Y-%m-%d}.{form}"',
            "Cache-Control": "no-store",
        },
    )


def _typed(request: Request) -> dict[str, str]:
    return {name: request.query_params.get(name, "") for name in _FIELDS}


def _zone(operator: SignedInOperator) -> ZoneInfo:
    return ZoneInfo(operator.operator.time_zone)


async def _page(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    page: audit_log.Page,
    typed: dict[str, str],
    status: int = 200,
    *,
    alert: str | None = None,
) -> Response:
    kept = {name: word for name, word in typed.items() if word}
    return render_page(
        request,
        operator,
        "admin/audit.html",
        status,
        alert=alert,
        page=page,
        typed=typed,
        is_filtered=bool(kept),
        is_part=bool(request.query_params),
        chain=await audit_log.chain_state(context),
        kinds=await audit_log.kinds(context),
        operators=await accounts.everybody(context),
        newer=f"{PATH}/audit?{urlencode(kept | {'after': str(page.newer)})}" if page.newer else None,
        older=f"{PATH}/audit?{urlencode(kept | {'before': str(page.older)})}" if page.older else None,
        exports={form: f"{PATH}/audit/export.{form}?{urlencode(kept)}" for form in _TYPES},
    )
