"""The overview: how the business goes, and how the program is now."""

import csv
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused
from app.operations import overview
from app.operations.overview import Overview, Table
from app.operations.periods import PRESETS, Period, read_period, usual_period
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH, Viewer
from app.web.admin.charts import CHARTS, SIZES
from app.web.admin.pages import render_page
from app.web.dependencies import OpenContext
from app.web.description import as_file

router = APIRouter()


async def show(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """The panel's first page, at its very address: the figures of the period that the address names."""
    zone = ZoneInfo(operator.operator.time_zone)
    try:
        period = read_period(request.query_params, zone, context.clock())
    except Refused as refused:
        period = usual_period(zone, context.clock())
        return await _page(request, context, operator, period, 422, alert=refused.message)
    return await _page(request, context, operator, period)


@router.get("/overview/{name}.csv", **as_file("text/csv"))
async def table(request: Request, context: OpenContext, operator: Viewer, name: str) -> Response:
    """One of the overview's tables, for a spreadsheet."""
    zone = ZoneInfo(operator.operator.time_zone)
    period = read_period(request.query_params, zone, context.clock())
    found = overview.tables(await overview.overview(context, period), context.plans, is_iso=True).get(name)
    if found is None:
        raise HTTPException(404)
    written = io.StringIO()
    csv.writer(written).writerows([found.columns, *found.rows])
    file = f"{name}-{period.first}-{period.last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return Response(written.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


async def _page(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    period: Period,
    status: int = 200,
    *,
    alert: str | None = None,
) -> Response:
    found = await overview.overview(context, period)
    tables = overview.tables(found, context.plans)
    return render_page(
        request,
        operator,
        "admin/overview.html",
        status,
        alert=alert,
        is_empty=await overview.is_empty(context),
        present=await overview.present(context),
        addon=context.manifest.id,
        plans=context.plans,
        period=period,
        presets=PRESETS,
        typed={name: request.query_params.get(name, "") for name in ("from", "to")},
        found=found,
        tables=tables,
        charts=[_chart(tables[name], period) for name in CHARTS],
        changes=_matrix(found),
        list_price=overview.list_price(found.growth.end, context.plans),
        seconds=overview.seconds,
        period_query=urlencode(period.words),
    )


def _chart(table: Table, period: Period) -> Mapping[str, Any]:
    """A chart's place on the page: for each kind of screen its image, and the numbers."""
    address = f"{PATH}/charts/{table.name}.svg?{urlencode(period.words)}"
    days = f"{period.first} to {period.last}"
    return {
        "table": table,
        "address": address,
        "alt": f"{CHARTS[table.name].alt}, by {period.unit}, {days}. The table below has the numbers.",
        "width": SIZES["wide"][0],
        "height": SIZES["wide"][1],
    }


def _matrix(found: Overview) -> Mapping[str, Any]:
    """Plan changes as a square: from which plan to which, how many."""
    numbers = {(before, after): number for before, after, number in found.growth.changes}
    return {
        "from": sorted({before for before, _ in numbers}),
        "to": sorted({after for _, after in numbers}),
        "numbers": numbers,
    }
