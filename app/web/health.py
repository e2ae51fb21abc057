"""Health checks, each with a name, so that a failing one explains itself."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Retry
from app.job_queue import oldest_due_age
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/health")

# A worker looks four times a second; a job that has been due for minutes means that none is there.
_OLDEST_JOB: Final = timedelta(minutes=5)
MIGRATIONS: Final = Path(__file__).parents[2] / "migrations" / "versions"
# Alembic itself would read them by importing itself and all of them: 7 MB in every web process.
_REVISION: Final = re.compile(r'^(down_revision|revision)\b[^=]*= (?:"(\w+)"|None)$', re.MULTILINE)


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"description": "A check says what is wrong."}})
async def ready(request: Request, context: OpenContext) -> JSONResponse:
    """200 if the database answers, its tables are what this code expects, and jobs get done; else 503."""
    checks: dict[str, Any] = {"database": "ok"}
    try:
        async with context.database.transaction() as session:
            checks["migrations"] = await _migrations(session, request.app.state.newest_migration)
            checks["queue"] = await _queue(session)
    except Retry:
        checks["database"] = "cannot be reached"
    is_ready = all(result == "ok" for result in checks.values())
    return JSONResponse(
        {"status": "ok" if is_ready else "not ready", "checks": checks},
        200 if is_ready else 503,
        {"Cache-Control": "no-store"},
    )


def newest_migration() -> str:
    """The revision that this code was written for."""
    newest, older = set[str](), set[str]()
    for path in MIGRATIONS.glob("*.py"):
        named = dict(_REVISION.findall(path.read_text()))
        newest.add(named["revision"])
        older.add(named["down_revision"])
    (head,) = newest - older
    return head


async def _migrations(session: AsyncSession, newest: str) -> str:
    is_there = await session.scalar(text("SELECT to_regclass('alembic_version')")) is not None
    current = await session.scalar(text("SELECT version_num FROM alembic_version")) if is_there else None
    return "ok" if current == newest else f"the database is at {current}, the code expects {newest}"


async def _queue(session: AsyncSession) -> str:
    if await session.scalar(text("SELECT to_regclass('procrastinate_jobs')")) is None:
        return "there is no queue yet"
    age = await oldest_due_age(session)
    return "ok" if age < _OLDEST_JOB else f"a job has been waiting for {int(age.total_seconds())} s"
