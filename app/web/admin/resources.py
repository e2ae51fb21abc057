"""Finding resources: one box, filters as links, pages that stay where they are, and everything found as CSV."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from app.context import Context
from app.errors import Refused
from app.operations.search import Found, Key, Page, iterate, parse, search, sole_uuid
from app.operations.search import Query as SearchQuery
from app.operations.search_words import CONDITIONS
from app.resources.models import State
from app.web.admin.access import PATH, Viewer
from app.web.admin.pages import render_page
from app.web.dependencies import OpenContext
from app.web.description import as_file

router = APIRouter()

_LIST: Final = f"{PATH}/resources"
_COLUMNS: Final = (
    "uuid",
    "name",
    "app_name",
    "owner_email",
    "plan",
    "state",
    "region",
    "created_at",
    "deprovisioned_at",
    "trouble",
    "last_error",
    "last_error_at",
)
_LONGEST_KEY: Final = 60

Text = Annotated[str, Query(alias="q")]
KeyText = Annotated[str, Query()]


@router.get("/resources")
async def find(
    request: Request, context: OpenContext, operator: Viewer, text: Text = "", before: KeyText = "", after: KeyText = ""
) -> Response:
    """A page of what was found; the resource itself, if its uuid was typed."""
    status, alert = 200, None
    query, page = parse(""), Page((), None, None)
    try:
        query = parse(text)
        page = await search(context, query, before=_key(before), after=None if before else _key(after))
    except Refused as refused:
        status, alert = 422, refused.message
    if status == 200 and (uuid := sole_uuid(query, page)) is not None:
        return RedirectResponse(f"{_LIST}/{uuid}", 303)
    return render_page(
        request,
        operator,
        "admin/resources.html",
        status,
        query=text,
        alert=alert,
        rows=page.rows,
        newer=None if page.newer is None else _address(text, after=str(page.newer)),
        older=None if page.older is None else _address(text, before=str(page.older)),
        top=_address(text),
        is_top=not (before or after),
        filters=_filters(context, query),
        conditions=CONDITIONS,
        csv=f"{_LIST}.csv?{urlencode({'q': text})}",
        batch=f"{PATH}/batches/new?{urlencode({'q': text})}",
    )


@router.get("/resources.csv", **as_file("text/csv"))
async def export(context: OpenContext, _operator: Viewer, text: Text = "") -> Response:
    """Everything that is found, as it is read. What fails after the first rows breaks the file off."""
    chunks = iterate(context, parse(text))
    first = await anext(chunks, None) or ()  # Python 3.11 cannot take an empty tuple as anext's default
    name = f"resources-{context.clock():%Y-%m-%d}.csv"
    return StreamingResponse(
        _lines(context, first, chunks),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


async def _lines(
    context: Context, first: Sequence[Found], chunks: AsyncIterator[Sequence[Found]]
) -> AsyncIterator[str]:
    yield _csv([_COLUMNS])
    yield _csv(_cells(context, first))
    async for rows in chunks:
        yield _csv(_cells(context, rows))


def _cells(context: Context, rows: Sequence[Found]) -> Iterable[Sequence[str]]:
    return ([_cell(row, column, context.clock()) for column in _COLUMNS] for row in rows)


def _csv(lines: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(lines)
    return file.getvalue()


def _cell(row: Found, column: str, now: datetime) -> str:
    """As text that no spreadsheet takes for a formula."""
    value: Any = row.trouble(now) if column == "trouble" else getattr(row, column)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _key(text: str) -> Key | None:
    return Key.read(text[:_LONGEST_KEY]) if text else None


def _address(text: str, **place: str) -> str:
    parameters = ({"q": text} if text else {}) | place
    return f"{_LIST}?{urlencode(parameters)}" if parameters else _LIST


def _filters(context: Context, query: SearchQuery) -> list[dict[str, Any]]:
    """Links that say one more thing, or something else, of what is being looked for."""
    groups = (
        ("State", "state", [(state.value, state.value) for state in State]),
        ("Plan", "plan", [(name, name) for name in context.plans]),
        ("Condition", "is", [("attention", "needs attention")]),
    )
    return [
        {
            "label": label,
            "links": [
                {
                    "words": words,
                    "address": _address(query.choosing(key, value)),
                    "is_chosen": query.chosen(key) == value,
                }
                for value, words in [(None, "any"), *choices]
            ],
        }
        for label, key, choices in groups
    ]
