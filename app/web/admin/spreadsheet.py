"""Tables as files for spreadsheets."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Response
from fastapi.responses import StreamingResponse

# What a spreadsheet would take for a formula begins with one of these.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def download(name: str, header: Sequence[str], chunks: AsyncIterator[Iterable[Sequence[Any]]]) -> Response:
    """A CSV file, sent as its rows are read. What fails after the first rows breaks it off."""

    async def lines() -> AsyncIterator[str]:
        yield _lines([header])
        async for rows in chunks:
            yield _lines([_cell(value) for value in row] for row in rows)

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
